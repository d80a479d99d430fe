"""AWS Config asked through unmodified clients: rules, results, items, history, aggregators."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.simulator.cloud import STARTS, Simulator
from tests.simulator.estate import RULE
from tests.sources.asking import Simulated, Stubbed, until
from tests.sources.reading import EVERYTHING, Read, read, read_pages

from auditkeep.clock import MINUTE, Instant, iso, parse
from auditkeep.mapping import config as mapping
from auditkeep.mapping.interest import Interest
from auditkeep.mapping.keywords import match_keys
from auditkeep.sources import config, configpull
from auditkeep.sources.configpull import ConfigEvaluations, aggregators
from auditkeep.sources.pull import Ask, Page, SwitchedOff
from auditkeep.sources.rules import Rules

ACCOUNT = "111122223333"
REGION = "eu-west-1"
PULLER = ConfigEvaluations()
KEY = "config:S3_BUCKET_VERSIONING_ENABLED"
MANAGED = "S3_BUCKET_VERSIONING_ENABLED"

pytestmark = pytest.mark.server


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    with Simulator(page_size=2) as running:
        estate = running.estate
        estate.rule(ACCOUNT, REGION, "versioned", identifier=MANAGED)
        estate.rule(ACCOUNT, REGION, "own")
        estate.rule(ACCOUNT, REGION, "securityhub-copy-1a2b3c4d", identifier="IAM_USER_MFA_ENABLED")
        for number in range(3):
            verdict = "NON_COMPLIANT" if number == 1 else "COMPLIANT"
            estate.evaluate(
                ACCOUNT, REGION, "versioned", "AWS::S3::Bucket", f"b{number}", verdict,
                Instant(STARTS - MINUTE),
            )  # fmt: skip
        estate.evaluate(
            ACCOUNT, REGION, "own", "AWS::Lambda::Function", "f", "COMPLIANT",
            Instant(STARTS - MINUTE),
        )  # fmt: skip
        yield running


def ask(**more: Any) -> Ask:
    return Ask("AWS_Config", ACCOUNT, REGION, **more)


def pages(cloud: Simulator, question: Ask, resume: str | None = None) -> list[Page]:
    return list(PULLER.get(Simulated(cloud, ACCOUNT), question, resume))


def told(found: list[Page]) -> Read:
    result = read_pages(PULLER, found)
    assert result.rejected == []
    return result


def test_every_rule_that_is_looked_at_and_every_page_of_its_results(cloud: Simulator) -> None:
    result = told(pages(cloud, ask()))
    assert sorted((o.match_key, o.resources[0].value, o.verdict) for o in result.observations) == [
        ("config:Custom_own", "f", "COMPLIANT"),
        (KEY, "b0", "COMPLIANT"),
        (KEY, "b1", "NON_COMPLIANT"),
        (KEY, "b2", "COMPLIANT"),
    ]
    found = result.observations[-1]
    assert (found.account, found.region) == (ACCOUNT, REGION)
    assert found.event_time == STARTS - MINUTE


def test_only_rules_that_somebody_looks_at_are_asked_about(cloud: Simulator) -> None:
    got = pages(cloud, ask(wanted=Interest.of([KEY])))
    asked = [
        r.parameters.get("ConfigRuleName")
        for page in got
        for r in page.requests
        if r.operation == "GetComplianceDetailsByConfigRule"
    ]
    assert asked == ["versioned", "versioned"]


def test_a_rule_that_is_looked_at_and_not_there_is_told(cloud: Simulator) -> None:
    first, *rest = pages(cloud, ask(wanted=Interest.of([KEY, "config:EBS_OPTIMIZED_INSTANCE"])))
    (fault,) = first.faults
    assert (fault.resource, fault.reason) == ("config:EBS_OPTIMIZED_INSTANCE", "switched-off")
    assert "No rule of AWS Config" in fault.sentence
    assert all(page.faults == () for page in rest)


def test_without_a_recorder_it_is_switched_off(cloud: Simulator) -> None:
    cloud.estate.recorder(ACCOUNT, REGION, STARTS, on=False)
    got, error = until(PULLER.get(Simulated(cloud, ACCOUNT), ask()))
    assert got == []
    assert isinstance(error, SwitchedOff)
    assert error.feature == "config-recorder"


def test_the_configuration_item_goes_with_the_result(cloud: Simulator) -> None:
    result = told(pages(cloud, ask()))
    by = {o.resources[0].value: json.loads(o.raw) for o in result.observations}
    assert by["b1"]["ComplianceType"] == "NON_COMPLIANT"
    assert by["b1"]["configurationItem"]["resourceId"] == "b1"
    # a function's item holds its variables
    assert "configurationItem" not in by["f"]


def test_results_come_without_items_where_those_are_denied(cloud: Simulator) -> None:
    cloud.faults.add("denied", "config:BatchGetResourceConfig")
    got = pages(cloud, ask())
    assert len(told(got).observations) == 4
    (fault,) = [f for page in got for f in page.faults]
    assert (fault.reason, fault.action) == ("denied", "config:BatchGetResourceConfig")


@pytest.mark.parametrize("fault", ["denied", "throttled", "expired", "broken", "cut", "closed"])
@pytest.mark.parametrize("turn", [1, 2, 3])
def test_what_was_answered_before_a_failure_stays_and_is_gone_on_from(
    cloud: Simulator, fault: Any, turn: int
) -> None:
    rule = cloud.faults.add(fault, "config:GetComplianceDetailsByConfigRule", turns=[turn])
    got, error = until(PULLER.get(Simulated(cloud, ACCOUNT), ask()))
    assert error.reason == {
        "broken": "unreachable",
        "cut": "unreachable",
        "closed": "unreachable",
    }.get(fault, fault)
    cloud.faults.drop(rule)
    rest = pages(cloud, ask(), got[-1].resume)
    assert len(told([*got, *rest]).observations) == 4
    assert {p.unit for p in got}.isdisjoint(p.unit for p in rest)


def test_asking_again_gives_the_same_units(cloud: Simulator) -> None:
    once, again = pages(cloud, ask()), pages(cloud, ask())
    assert [p.unit for p in once] == [p.unit for p in again]


def test_a_first_look_is_dated_to_its_moment(cloud: Simulator) -> None:
    at = Instant(STARTS + MINUTE)
    usual, first = told(pages(cloud, ask())), told(pages(cloud, ask(at=at)))
    assert {o.event_time for o in first.observations} == {at}
    assert [(*o.natural_key, iso(at)) for o in usual.observations] == [
        o.natural_key for o in first.observations
    ]


def test_what_is_pushed_and_what_is_pulled_are_one_fact(cloud: Simulator) -> None:
    pulled = next(o for o in told(pages(cloud, ask())).observations if o.verdict == "NON_COMPLIANT")
    event = {
        "source": "aws.config",
        "detail-type": "Config Rules Compliance Change",
        "account": ACCOUNT,
        "region": REGION,
        "detail": {
            "resourceId": "b1",
            "awsRegion": REGION,
            "awsAccountId": ACCOUNT,
            "configRuleName": "versioned",
            "resourceType": "AWS::S3::Bucket",
            "newEvaluationResult": {
                "evaluationResultIdentifier": {
                    "evaluationResultQualifier": {
                        "configRuleName": "versioned",
                        "resourceType": "AWS::S3::Bucket",
                        "resourceId": "b1",
                    }
                },
                "complianceType": "NON_COMPLIANT",
                "resultRecordedTime": iso(Instant(STARTS - MINUTE)),
            },
        },
    }
    pushed = read(config.parse, json.dumps(event).encode()).only
    assert pushed.natural_key == pulled.natural_key
    known = Rules(configpull.defined(Simulated(cloud, ACCOUNT).client("config", REGION))[0])
    told_of = replace(EVERYTHING, rules=known)
    assert read(config.parse, json.dumps(event).encode(), told_of).only.match_key == KEY
    assert pulled.match_key == KEY
    assert pushed.event_time == pulled.event_time
    assert pushed.content == pulled.content
    assert pushed.raw != pulled.raw


def test_a_rule_deleted_meanwhile_is_passed_over(cloud: Simulator) -> None:
    cloud.faults.add(
        "fails", "config:GetComplianceDetailsByConfigRule", turns=[1],
        code="NoSuchConfigRuleException",
    )  # fmt: skip
    assert {o.match_key for o in told(pages(cloud, ask())).observations} == {KEY}


def test_names_of_conformance_packs_and_organisations_lose_their_suffix(cloud: Simulator) -> None:
    cloud.estate.rule(ACCOUNT, REGION, "OrgConfigRule-mine-dbgzf8ba")
    key = "config:Custom_OrgConfigRule-mine"
    got = pages(cloud, ask(wanted=Interest.of([key])))
    assert got[0].faults == ()
    assert got[1].requests[1].parameters["ConfigRuleName"] == "OrgConfigRule-mine-dbgzf8ba"


ORGANISATION = "Custom_OrgConfigRule-s3-bucket-versioning-enabled"


def asked_by(*words: str) -> Ask:
    keys = [k for word in words for k in match_keys("AWS_Config", word)]
    return ask(wanted=Interest.of(keys), spare=mapping.spare(keys))


def test_an_organisation_s_managed_rule_is_found_by_its_documented_keyword(
    cloud: Simulator,
) -> None:
    cloud.estate.rule(
        ACCOUNT, REGION, "OrgConfigRule-s3-bucket-versioning-enabled-dbgzf8ba", identifier=MANAGED
    )
    got = pages(cloud, asked_by(ORGANISATION))
    assert got[0].faults == ()
    assert {o.match_key for o in told(got).observations} == {KEY}


def test_an_organisation_s_rule_whose_name_ends_in_a_word_is_found(cloud: Simulator) -> None:
    name = "OrgConfigRule-incoming-ssh-disabled"
    cloud.estate.rule(ACCOUNT, REGION, f"{name}-dbgzf8ba")
    cloud.estate.evaluate(
        ACCOUNT, REGION, f"{name}-dbgzf8ba", "AWS::EC2::SecurityGroup", "sg-1", "COMPLIANT",
        Instant(STARTS - MINUTE),
    )  # fmt: skip
    got = pages(cloud, asked_by(f"Custom_{name}"))
    assert got[0].faults == ()
    assert told(got).only.match_key == f"config:Custom_{name}"


def test_a_rule_that_is_there_under_no_name_of_its_keyword_is_one_fault(cloud: Simulator) -> None:
    cloud.estate.remove(ACCOUNT, REGION, RULE, "versioned", STARTS)
    (fault,) = pages(cloud, asked_by(ORGANISATION))[0].faults
    assert fault.resource == f"config:{ORGANISATION}"
    both = pages(cloud, asked_by(ORGANISATION))[0].faults
    assert len(both) == 1
    alone = pages(cloud, ask(wanted=Interest.of([KEY])))[0].faults
    assert [f.resource for f in alone] == [KEY]


def test_who_names_a_managed_rule_like_an_own_one_is_told_how_it_is_called(
    cloud: Simulator,
) -> None:
    (fault,) = pages(cloud, asked_by("Custom_versioned"))[0].faults
    assert fault.sentence.endswith(f"A rule of that name is there that controls call {MANAGED}.")


# --- through an aggregator --------------------------------------------------------------------


def test_an_aggregator_answers_for_all_places_it_sees(cloud: Simulator) -> None:
    other, third = "222233334444", "333344445555"
    deployed = "s3-bucket-versioning-enabled-conformance-pack-a1b2c3d4e"
    for account, name in ((other, "s3-bucket-versioning-enabled"), (third, deployed)):
        cloud.estate.account(account)
        cloud.estate.rule(account, "eu-central-1", name)
        cloud.estate.evaluate(
            account, "eu-central-1", name, "AWS::S3::Bucket", "x", "COMPLIANT",
            Instant(STARTS - MINUTE),
        )  # fmt: skip
    cloud.estate.put(ACCOUNT, REGION, "config:DescribeConfigurationAggregators", "all")
    assert aggregators(Simulated(cloud, ACCOUNT), REGION) == ["all"]
    got = pages(cloud, ask(what="all"))
    result = told(got)
    # a rule's owner is not told there, so only its default name says which of AWS's it is
    assert {(o.account, o.region, o.match_key) for o in result.observations} == {
        (ACCOUNT, REGION, "config:Custom_versioned"),
        (ACCOUNT, REGION, "config:Custom_own"),
        (other, "eu-central-1", KEY),
        (third, "eu-central-1", KEY),
    }
    for number in range(len(got) - 1):
        rest = pages(cloud, ask(what="all"), got[number].resume)
        assert [p.unit for p in rest] == [p.unit for p in got[number + 1 :]]


# --- history ----------------------------------------------------------------------------------


def _item(resource: str, captured: str, verdict: str) -> dict[str, Any]:
    kind, _, name = resource.partition("/")
    rules = [
        {
            "configRuleName": "versioned",
            "configRuleArn": f"arn:aws:config:{REGION}:{ACCOUNT}:config-rule/config-rule-a",
            "complianceType": verdict,
        }
    ]
    configuration = {
        "targetResourceId": name,
        "targetResourceType": kind,
        "complianceType": verdict,
        "configRuleList": rules,
    }
    return {
        "accountId": ACCOUNT,
        "awsRegion": REGION,
        "resourceType": "AWS::Config::ResourceCompliance",
        "resourceId": resource,
        "configurationItemCaptureTime": parse(captured) / 1_000_000,
        "configuration": json.dumps(configuration),
    }


def test_history_is_read_resource_by_resource_and_gone_on_from_anywhere() -> None:
    listed = ["AWS::S3::Bucket/a", "AWS::S3::Bucket/b"]

    def answered(clients: Stubbed, resources: list[str]) -> None:
        clients.answer("config", "DescribeConfigRules", {"ConfigRules": []})
        clients.answer(
            "config",
            "ListDiscoveredResources",
            {"resourceIdentifiers": [{"resourceId": r} for r in listed]},
            {"resourceType": "AWS::Config::ResourceCompliance", "includeDeletedResources": True},
        )
        for resource in resources:
            for number, more in ((1, "n"), (2, "")):
                item = _item(resource, f"2026-04-0{number}T00:00:00Z", "NON_COMPLIANT")
                clients.answer(
                    "config",
                    "GetResourceConfigHistory",
                    {"configurationItems": [item], **({"nextToken": more} if more else {})},
                )

    question = ask(since=parse("2026-04-01T00:00:00Z"), until=parse("2026-05-01T00:00:00Z"))
    clients = Stubbed()
    answered(clients, listed)
    got = list(PULLER.get(clients, question))
    result = told(got)
    assert [(o.resources[0].value, iso(o.event_time)[:10]) for o in result.observations] == [
        ("a", "2026-04-01"),
        ("a", "2026-04-02"),
        ("b", "2026-04-01"),
        ("b", "2026-04-02"),
    ]
    assert {o.match_key for o in result.observations} == {"config:Custom_versioned"}
    clients = Stubbed()
    answered(clients, listed[1:])
    rest = list(PULLER.get(clients, question, got[1].resume))
    assert [p.unit for p in rest] == [p.unit for p in got[2:]]
    assert got[-1].resume is None


def test_items_that_were_not_looked_at_are_asked_for_again_while_that_brings_any() -> None:
    keys = [("AWS::S3::Bucket", name) for name in "abc"]
    named = [{"resourceType": kind, "resourceId": name} for kind, name in keys]
    clients = Stubbed()
    for asked, found in ((named, ["a"]), (named[1:], ["b"]), (named[2:], [])):
        clients.answer(
            "config",
            "BatchGetResourceConfig",
            {
                "baseConfigurationItems": [
                    {"resourceType": "AWS::S3::Bucket", "resourceId": name} for name in found
                ],
                "unprocessedResourceKeys": asked[len(found) :],
            },
            {"resourceKeys": asked},
        )
    got = configpull.items_of(clients.client("config", REGION), keys)
    assert [name for _, name in sorted(got.items)] == ["a", "b"]
    assert got.faults == ()
    clients.done()


def test_many_items_are_asked_for_a_hundred_at_a_time(cloud: Simulator) -> None:
    keys = [("AWS::S3::Bucket", f"other{number}") for number in range(150)]
    got = configpull.items_of(Simulated(cloud, ACCOUNT).client("config", REGION), keys)
    assert [len(one.parameters["resourceKeys"]) for one in got.exchanges] == [100, 50]


def test_a_page_that_is_none_is_rejected() -> None:
    assert "JSON" in read_pages(PULLER, [Page(ask(), "u", b"no", ())]).reason


def test_actions_are_those_of_the_way_it_is_asked() -> None:
    assert "config:GetComplianceDetailsByConfigRule" in PULLER.actions("")
    assert PULLER.actions("all") == {
        "config:BatchGetAggregateResourceConfig",
        "config:DescribeAggregateComplianceByConfigRules",
        "config:GetAggregateComplianceDetailsByConfigRule",
    }


def test_what_no_control_looks_at_is_not_kept(cloud: Simulator) -> None:
    context = type(EVERYTHING)(EVERYTHING.tenant, Interest.of(["x"]), EVERYTHING.cutter)
    assert read_pages(PULLER, pages(cloud, ask()), context).observations == []
