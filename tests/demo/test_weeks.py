"""The demo's organisation: the same seed tells the same story, in the sources' own shapes."""

import gzip
import json
from pathlib import Path

from auditkeep.clock import day_from_name, day_name, parse
from auditkeep.demo.delivery import deliver
from auditkeep.demo.organisation import ACCOUNTS, REGIONS, assets
from auditkeep.demo.weeks import EPISODES, Weeks, regions_of

FIRST = day_from_name("2026-04-01")


def test_the_same_seed_tells_the_same_story() -> None:
    assert Weeks(FIRST, 28).trail(3, ACCOUNTS[1].id, REGIONS[0]) == Weeks(FIRST, 28).trail(
        3, ACCOUNTS[1].id, REGIONS[0]
    )
    assert Weeks(FIRST, 28).trail(3, ACCOUNTS[1].id, REGIONS[0]) != Weeks(FIRST, 28, seed=8).trail(
        3, ACCOUNTS[1].id, REGIONS[0]
    )


def test_every_episode_happens_on_its_day_and_is_judged_until_it_is_mended() -> None:
    weeks = Weeks(FIRST, 28)
    for episode in EPISODES:
        events = weeks.trail(episode.day, episode.account, episode.region)
        assert any(e["eventName"] == episode.event for e in events), episode
        if episode.breaks is None:
            continue
        broken = [
            e
            for e in weeks.evaluations(episode.day)
            if e["detail"]["configRuleName"] == episode.breaks[1]
            and e["detail"]["newEvaluationResult"]["complianceType"] == "NON_COMPLIANT"
        ]
        mended = [
            e
            for e in weeks.evaluations(episode.day + episode.mended_after)
            if e["detail"]["configRuleName"] == episode.breaks[1]
            and e["detail"]["newEvaluationResult"]["complianceType"] == "COMPLIANT"
        ]
        assert broken, episode
        assert mended, episode


def test_events_lie_on_the_day_they_are_delivered_for_and_have_ids_of_their_own() -> None:
    weeks = Weeks(FIRST, 3)
    seen: set[str] = set()
    for offset in range(3):
        for account in ACCOUNTS:
            for region in regions_of(account.id):
                for event in weeks.trail(offset, account.id, region):
                    assert event["eventTime"][:10] == day_name(FIRST)[:8] + f"{1 + offset:02d}"
                    assert event["recipientAccountId"] == account.id
                    assert parse(event["eventTime"])
                    assert event["eventID"] not in seen
                    seen.add(event["eventID"])


def test_files_are_laid_out_as_they_are_delivered(tmp_path: Path) -> None:
    *_, last = deliver(Weeks(FIRST, 2), tmp_path)
    files = sorted(last.cloudtrail.rglob("*.json.gz"))
    assert len(files) == 2 * sum(len(regions_of(a.id)) for a in ACCOUNTS)
    records = sum(len(json.loads(gzip.decompress(f.read_bytes()))["Records"]) for f in files)
    findings = sum(
        len(json.loads(gzip.decompress(f.read_bytes()))["Findings"])
        for f in last.securityhub.iterdir()
    )
    evaluations = sum(len(f.read_text().splitlines()) for f in last.config.iterdir())
    assert last.records == records + findings + evaluations


def test_assets_have_ids_of_their_own() -> None:
    arns = [a.arn for a in assets()]
    assert len(arns) == len(set(arns))
