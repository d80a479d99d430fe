"""`auditkeep collect …`: what is asked of AWS, what came of it, and what it needs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment, registered
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report

if TYPE_CHECKING:
    from auditkeep.app.collection import Packs

Framework = Annotated[str, Parameter(help="The framework's id.")]


def plan(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """What must be asked of which accounts and regions, how often, and why."""
    from auditkeep.app.collection import plan_of
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = plan_of(parts, Tenant(account, region))
    if json:
        report(found, as_json=True)
        return 0
    for row in found["plan"]:
        places = f"{row['accounts']} accounts × {len(row['regions'])} regions"
        print(f"{row['source']:<12} {row['what']:<44} {row['often']:<14} {places}")
        for why in row["why"]:
            print(f"{'':<12} for {why}")
        more = row["controls"] - len(row["why"])
        if more > 0:
            print(f"{'':<12} and {more} more controls")
    for row in found["leftOut"]:
        more = row["accounts"] - len(row["for"])
        others = f" and {more} more accounts" if more > 0 else ""
        print(f"left out     {row['region']}: {row['reason']} for {', '.join(row['for'])}{others}, "
              f"as said at {row['said'][:16]}Z; {row['questions']} questions")  # fmt: skip
    print(
        f"{found['questions']:,} questions to {found['accounts']:,} accounts, about "
        f"{found['callsPerMonth']:,} calls a month"
    )
    keeping = found["keeping"]
    print(
        f"Kept by the policy '{keeping['policy']}': {keeping['observations']:,} facts, "
        f"{keeping['storedBytes']:,} bytes; assessments look at {keeping['seen']:,} of them"
    )
    if not found["asks"]:
        print("Nobody asks: AUDITKEEP_COLLECT is none.")
    return 0


def run(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Ask now what is due, and wait for it; exit code 1 if anything due was not had."""
    from auditkeep.app.collection import run_now

    with registered(data, account, region) as (parts, tenant):
        done = run_now(parts, tenant)
        parts.log_now()
    report(done, as_json=json)
    return 1 if done["openGaps"] else 0


def status(
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    assessment: Annotated[str | None, Parameter(help="One assessment's id.")] = None,
    json: Json = False,
) -> int:
    """For every control: what should arrive, what did, when last, and why not."""
    from auditkeep.app.collection import status_of, summary
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        rows = status_of(parts, Tenant(account, region), assessment)
    if json:
        report({"summary": summary(rows), "controls": rows}, as_json=True)
        return 0
    for row in rows:
        last = row["lastEvidence"] or "no evidence"
        whole = row.get("assessment") or f"baseline {row['baseline']}"
        print(f"{row['state']:<12} {row['answered']}/{row['expected']:<6} {last:<28} "
              f"{whole}: {row['control']}")  # fmt: skip
        for lack in row["lacks"]:
            what = f"{lack['what']}: " if lack["what"] else ""
            print(f"{'':<12} {lack['reason']} in {lack['places']} places: {what}{lack['message']}")
        for doubt in row["doubts"]:
            print(f"{'':<12} {doubt['message']}")
    report(summary(rows), as_json=False)
    return 0


def list_gaps(
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    open: Annotated[  # noqa: A002 - the option's name
        bool, Parameter(name="--open", negative="", help="Only those that last.")
    ] = False,
    json: Json = False,
) -> int:
    """The gap ledger: every time in which something due was not collected."""
    from auditkeep.app.collection import gaps_of
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        rows = gaps_of(parts, Tenant(account, region), only_open=open)
    if json:
        report({"gaps": rows}, as_json=True)
        return 0
    for row in rows:
        until = row["to"] or "now"
        filled = ", filled later" if row["filled"] else ""
        print(f"{row['from']} – {until}{filled}  {row['account']} {row['region']} {row['source']} "
              f"{row['what']}  {row['reason']}: {row['message']}")  # fmt: skip
    return 0


def baseline(
    *frameworks: Framework,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    of: Annotated[
        tuple[str, ...],
        Parameter(help="Accounts it looks at; otherwise the tenant's own, and all its members."),
    ] = (),
    none: Annotated[
        bool, Parameter(name="--none", negative="", help="Collect for no framework any more.")
    ] = False,
    json: Json = False,
) -> int:
    """Show or set the frameworks that are collected for where no assessment looks."""
    from auditkeep.app.collection import baseline_of, put_baseline

    with registered(data, account, region) as (parts, tenant):
        if frameworks or none:
            kept = put_baseline(parts, tenant, () if none else frameworks, of)
        else:
            kept = baseline_of(parts, tenant)
    report(kept, as_json=json)
    return 0


def asked_account(
    member: Annotated[str, Parameter(help="The account that is asked.")] = "",
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    regions: Annotated[
        tuple[str, ...] | None, Parameter(help="The only regions in which it is asked.")
    ] = None,
    role: Annotated[str | None, Parameter(help="The role that is taken in it.")] = None,
    external_id: Annotated[str | None, Parameter(help="What that role expects.")] = None,
    paused: Annotated[bool, Parameter(help="Ask nothing of it for now.")] = False,
    json: Json = False,
) -> int:
    """Show how accounts are asked, or say how one is; options left out are as the settings say."""
    from auditkeep.app.collection import accounts_of, put_account
    from auditkeep.collection.accounts import Asked

    with registered(data, account, region) as (parts, tenant):
        if member:
            asked = Asked(
                account=member, regions=regions, role=role, external_id=external_id, paused=paused
            )
            put_account(parts, tenant, asked)
        found = accounts_of(parts, tenant)
    report({"accounts": found}, as_json=json)
    return 0


def policy(
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    member: Annotated[str | None, Parameter(help="Only what this account is asked.")] = None,
) -> int:
    """The least-privilege IAM policy for a member account, from the plan."""
    from auditkeep.app.collection import policy_of
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = policy_of(parts, Tenant(account, region), member)
    return _write(found, None)


def stackset(
    *,
    principal: Annotated[str, Parameter(help="The ARN that Auditkeep's server runs as.")],
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    out: Annotated[Path | None, Parameter(help="A file to write it to.")] = None,
) -> int:
    """A CloudFormation template, for a StackSet, that makes the role in each member account."""
    from auditkeep.app.collection import stackset_of
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = stackset_of(parts, Tenant(account, region), principal)
    return _write(found, out)


def conformance_pack(
    *,
    framework: Framework,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    missing: Annotated[
        bool, Parameter(negative="", help="Only rules that Config said are not there.")
    ] = False,
    to: Annotated[Path | None, Parameter(help="A folder, for a file of each pack.")] = None,
) -> int:
    """AWS Config templates that switch on the managed rules that a framework looks at."""
    from auditkeep.app.collection import packs_of
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = packs_of(parts, Tenant(account, region), framework, missing=missing)
    for note in found.notes:
        print(note, file=sys.stderr)
    return _write_packs(found, to)


def worker(*, data: Data) -> int:
    """Run jobs beside the server, over the same PostgreSQL; any number of workers may."""
    from auditkeep import app
    from auditkeep.app.worker import Worker
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load

    Worker(app.open_parts(load(data), SystemClock())).run()
    return 0


def _write_packs(packs: "Packs", folder: Path | None) -> int:
    from auditkeep.collection.policy import to_fill_in
    from auditkeep.errors import SetupError

    count = len(packs.templates)
    if folder is None and count > 1:
        raise SetupError(
            f"This takes {count} conformance packs, because AWS limits the rules and bytes of "
            "one: name a folder to write them to with --to."
        )
    if folder is not None:
        _make(folder)
    for number, template in enumerate(packs.templates, 1):
        name = packs.name if count == 1 else f"{packs.name}-{number}-of-{count}"
        _write(template, None if folder is None else folder / f"{name}.json")
        for parameter in to_fill_in(template):
            told = template["Parameters"][parameter]["Description"]
            print(f"{name} needs a value of {parameter}: {told}", file=sys.stderr)
    return 0


def _make(folder: Path) -> None:
    from auditkeep.errors import SetupError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{folder} cannot be made: {error.strerror}.") from error


def _write(document: dict[str, object], out: Path | None) -> int:
    from auditkeep.collection.policy import text_of
    from auditkeep.errors import SetupError

    text = text_of(document)
    if out is None:
        sys.stdout.write(text)
        return 0
    try:
        out.write_text(text)
    except OSError as error:
        raise SetupError(f"{out} cannot be written: {error.strerror}.") from error
    print(f"Written to {out}.")
    return 0
