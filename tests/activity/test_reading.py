"""The log read back: filters, order, and what is still on its way."""

from typing import Any

import pytest
from tests.operations.in_process import Api

from auditkeep.accounts import store as accounts
from auditkeep.activity import reading
from auditkeep.activity.batcher import Batcher
from auditkeep.activity.reading import Wanted, records
from auditkeep.clock import MINUTE, SECOND, FixedClock, Instant, parse
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.ids import Tenant
from auditkeep.operations.call import Deps

HOME = Tenant("111122223333", "us-east-1")
OTHER = Tenant("999988887777", "eu-west-1")


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Api:
    """Forty moments of calls of two accounts: some in the lake, some on their way."""
    with db.system_write() as tx:
        rows = {"account": HOME.account, "region": HOME.region}
        tx.upsert(meta, [{"key": k, "value": v} for k, v in rows.items()])
        accounts.register(tx.of(HOME), None, clock.now())
        accounts.register(tx.of(OTHER), None, clock.now())
    api = Api(db, deps, clock)
    other = api.key("bob", "AWSAuditManagerAdministratorAccess", account=OTHER.account)
    batcher = Batcher(deps.lake, deps.heard, clock)
    client, elsewhere = api.client(), api.client(other, OTHER.region)
    for moment in range(40):
        api.call(client.list_controls, controlType="Custom")
        api.call(client.get_settings, attribute="ALL")
        if moment % 4 == 0:
            api.call(elsewhere.list_assessments)
        if moment % 10 == 9:
            api.call(client.update_settings, defaultProcessOwners=[])
        if moment % 8 == 7:
            batcher.flush()
        elif moment % 3 == 0:
            batcher.listen()
            batcher.keep()
        clock.advance(MINUTE if moment % 5 else 700_000)
    batcher.listen()
    batcher.keep()
    return api


def found(api: Api, **wanted: Any) -> list[dict[str, Any]]:
    return list(records(api.deps.lake, Wanted(**wanted)))


@pytest.mark.both_databases
def test_everything_is_there_once_newest_first(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = found(api)
    assert len(everything) == 40 + 40 + 10 + 4
    assert len({r["eventID"] for r in everything}) == len(everything)
    times = [r["eventTime"] for r in everything]
    assert times == sorted(times, reverse=True)
    monkeypatch.setattr(reading, "PAGE", 2)
    assert found(api) == everything


def test_filters_take_what_they_name(api: Api, clock: FixedClock) -> None:
    everything = found(api)
    assert found(api, account=OTHER.account) == [
        r for r in everything if r["recipientAccountId"] == OTHER.account
    ]
    assert len(found(api, region="eu-west-1")) == 10
    assert len(found(api, user="bob")) == 10
    assert len(found(api, user="arn:aws:iam::111122223333:user/root")) == 84
    assert len(found(api, event="UpdateSettings")) == 4
    assert found(api, event="NoSuchCall") == []
    middle = Instant(clock.now() - 10 * MINUTE)
    second = Instant(middle - middle % SECOND)
    after, before = found(api, since=middle), found(api, until=middle)
    assert after == [r for r in everything if parse(r["eventTime"]) >= second]
    assert before == [r for r in everything if parse(r["eventTime"]) < middle]
    some = found(api, since=Instant(middle - 5 * MINUTE), until=middle, event="ListControls")
    assert 0 < len(some) < 40


def test_a_tenant_s_lake_holds_its_own_calls_only(api: Api) -> None:
    with api.db.read(OTHER) as tx:
        view = reading._view(tx, Wanted())
    assert view.match_keys <= {"activity:ListAssessments", "activity:Reads"}


def test_what_comes_into_the_lake_meanwhile_is_told_once(api: Api, clock: FixedClock) -> None:
    listing = records(api.deps.lake, Wanted())
    first = next(listing)
    Batcher(api.deps.lake, api.deps.heard, clock).flush()
    rest = list(listing)
    ids = [r["eventID"] for r in [first, *rest]]
    assert len(ids) == len(set(ids)) == len(found(api))
