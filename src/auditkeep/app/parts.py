"""Every part of a deployment, built once from its settings."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from auditkeep.access import credentials
from auditkeep.access.principals import Principal
from auditkeep.accounts import members
from auditkeep.accounts import store as accounts
from auditkeep.accounts.members import Organisation
from auditkeep.activity.batcher import Batcher
from auditkeep.activity.operator import acted
from auditkeep.activity.reading import Wanted, records
from auditkeep.activity.used import used
from auditkeep.app import keys, secrets
from auditkeep.app import members as organization
from auditkeep.app.places import Places
from auditkeep.app.setup import ADMINISTRATOR
from auditkeep.app.stores import store_of
from auditkeep.clock import MINUTE, Clock, Day, Instant, iso
from auditkeep.collection.interest import interest_of
from auditkeep.collection.keeping import LensKeeper
from auditkeep.crypto import durable, signers
from auditkeep.crypto.asking import begun_again
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.signing import DigestKey, NoteKey
from auditkeep.crypto.uses import Uses
from auditkeep.db import clearing
from auditkeep.db.database import Database
from auditkeep.db.schema import conflicts, meta, rollups, tenants
from auditkeep.db.tx import SystemTx
from auditkeep.errors import AuditkeepError, Busy, SetupError
from auditkeep.evidence import manual
from auditkeep.evidence.metering import LensMeter
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.warnings import doubts
from auditkeep.ids import Tenant, is_account, new_id
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.buckets import fetching
from auditkeep.lake.lake import Lake
from auditkeep.lake.recovery import Recovered, recover
from auditkeep.lake.rollups import still_count
from auditkeep.lake.rotation import Rotated, begin, rotate, rotate_tenant
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.library.library import Library
from auditkeep.mapping.interest import Interest
from auditkeep.operations.auditkeep.backfill import fetch, start_backfill
from auditkeep.operations.call import Call, Deps
from auditkeep.reports import destination
from auditkeep.settings import Settings
from auditkeep.tlog.note import Signer
from auditkeep.wire.links import Links
from auditkeep.work.jobs import DatabaseJobs

_log = logging.getLogger("auditkeep")

_ALL = 1_000_000
"""More custom controls than any quota admits."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Whose observations a tenant holds, and from which day on."""

    accounts: tuple[str, ...]
    first_day: Day


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server, the command line and the demo work with."""

    settings: Settings
    clock: Clock
    db: Database
    lake: Lake
    report_key: DigestKey
    jobs: DatabaseJobs
    deps: Deps

    @property
    def log_key(self) -> str:
        return self.lake.signer.vkey

    def require_signing(self) -> None:
        """KeyUnusable, saying why, unless log and reports can be signed now."""
        for key in (self.lake.signer.key, self.report_key):
            signers.require_signing(key)

    def interest(self, tenant: Tenant) -> Interest:
        """What ingest keeps for this tenant: whatever a shipped or custom control could use."""
        with self.db.read(tenant) as tx:
            return interest_of(tx, self.deps.library)

    def stock(self, tenant: Tenant, url: str, file: BinaryIO) -> int:
        """Put a file where `s3ResourcePath` finds it under an `s3://` URL; its size."""
        place = destination.place(url, "URL")
        object_id = manual.stocked(place.bucket, place.key)

        def kept() -> int:
            file.seek(0)
            with self.db.write(tenant) as tx:
                accounts.require_active(tx)
                return put_blob(tx, self.lake, manual.STOCK, object_id, file, self.clock.now()).size

        return fetching(kept)

    def require_active(self, tenant: Tenant) -> None:
        """AccessDenied unless the tenant has registered."""
        with self.db.read(tenant) as tx:
            accounts.require_active(tx)

    @begun_again
    def backfill(self, tenant: Tenant, assessment_id: str, start: Instant) -> tuple[int, int]:
        """Let an assessment see from `start` on, as the operator; see `start_backfill`.

        How many controls see further back now, and how many fetches were queued.
        """
        with self.db.write(tenant) as tx:
            accounts.require_active(tx)
            asked = {"assessmentId": assessment_id, "from": iso(start)}
            self.note(tx.system(), "StartBackfill", asked, tenant.account, tenant.region)
            call = self.operator(tx, tenant)
            controls = start_backfill(call, assessment_id, start)
            return controls, fetch(call, assessment_id, start)

    def seal_now(self, tenant: Tenant) -> int:
        """Move the whole tail into segments; how many were written."""
        written = 0
        while seal(self.lake, tenant, now=self.clock.now(), max_age=-1) is not None:
            written += 1
        return written

    def log_now(self) -> None:
        """Take pending records and entries into the log, unless a running server does so itself."""
        Batcher(self.lake, self.deps.heard, self.clock).gather(now=True)
        try:
            with Sequencer(self.lake) as sequencer:
                sequencer.step()
        except Busy:
            return

    def recover_log(self, principal: str, newest: str | None = None) -> Recovered:
        """Make a restored database and the published log agree; see `lake.recovery`.

        A tenant whose keys had all been destroyed since the backup is emptied again. Parts opened
        before know the log by its former name if a new epoch begins: open them anew.
        """
        with self.db.system_read() as tx:
            rows = tx.all(tx.select(meta.c.key, meta.c.value))
        told = {row.key: row.value for row in rows}
        home = Tenant(told["account"], told["region"])
        _, done = recover(self.lake, home, principal, self.clock.now(), newest)
        with self.db.system_read() as tx2:
            t = tenants.c  # what they have set cannot be read any more
            erased = tx2.all(tx2.select(t.account, t.region).where(t.status == "ERASED"))
        for row in erased:
            self._empty(Tenant(row.account, row.region))
        return done

    def _empty(self, tenant: Tenant) -> None:
        """Delete what is left of a tenant that was erased; most often nothing is."""
        for table in clearing.tables():
            more = True
            while more:
                with self.db.write(tenant) as tx:
                    more = clearing.clear_some(tx, table) > 0
        with self.db.write(tenant) as tx:
            accounts.forget_settings(tx)

    def tenants(self) -> list[Tenant]:
        """Every tenant that is registered."""
        with self.db.system_read() as tx:
            columns = (tenants.c.account, tenants.c.region)
            rows = tx.all(tx.select(*columns).where(tenants.c.status == "ACTIVE"))
        return [Tenant(r.account, r.region) for r in rows]

    def every_tenant(self) -> list[Tenant]:
        """Every tenant that ever registered: what it left is looked after too."""
        with self.db.system_read() as tx:
            rows = tx.all(tx.select(tenants.c.account, tenants.c.region))
        return [Tenant(r.account, r.region) for r in rows]

    def conflicts(self, tenant: Tenant) -> list[dict[str, Any]]:
        """Facts that arrived twice with different content."""
        with self.db.read(tenant) as tx:
            rows = tx.all(tx.select(conflicts).order_by(conflicts.c.seen_at))
        return [
            {
                "observation": bytes(r.observation_id).hex(),
                "unit": r.unit_id,
                "position": r.position,
                "seenAt": iso(r.seen_at),
            }
            for r in rows
        ]

    def members(self) -> list[dict[str, Any]]:
        """The organisation's accounts as they were last read."""
        with self.db.system_read() as tx:
            found = members.listed(tx)
        return [{"account": m.account, "name": m.name, "email": m.email} for m in found]

    def refresh_members(self, read: Callable[[], Organisation]) -> frozenset[str]:
        """Read the organisation's accounts now; those that have left."""
        if self.settings.organizations != "aws":
            raise SetupError(
                "This deployment does not ask AWS Organizations: set AUDITKEEP_ORGANIZATIONS=aws."
            )
        return organization.refresh(self.db, self.deps, self.clock, read)

    def remove_member(self, account: str) -> int:
        """Take an account out of all scopes but its own; how many assessments that changed."""
        if not is_account(account):
            raise SetupError(f"An account is twelve digits, which '{account}' is not.")
        return self.db.system_change(
            lambda tx: organization.leave(tx, self.deps, self.clock.now(), {account})
        )

    def warnings(self, tenant: Tenant) -> list[dict[str, Any]]:
        """Keywords of custom controls that no list knows, and what may have been meant."""
        with self.db.read(tenant) as tx:
            own = frameworks.list_controls(tx, self.deps.library, "Custom", limit=_ALL)
        return [
            {
                "control": doubt.control_name,
                "controlId": doubt.control_id,
                "sourceType": doubt.source_type,
                "keyword": doubt.keyword,
                "didYouMean": ", ".join(doubt.suggestions),
                "why": doubt.reason,
            }
            for doubt in doubts(own)
        ]

    def origins(self, tenant: Tenant) -> Origins:
        """The accounts that observations came from, busiest first, and the first day seen."""
        t = rollups.c
        totals: dict[str, int] = {}
        first: int | None = None
        with self.db.read(tenant) as tx:
            counts = tx.select(t.origin_account, t.day, t["items"].label("total"), t.source)
            rows = tx.all(counts.where(still_count(tx)))
        for row in rows:
            if row.source in ("RUN", "MANUAL", "ACTIVITY", "GOVERNANCE"):
                continue
            totals[row.origin_account] = totals.get(row.origin_account, 0) + row.total
            first = row.day if first is None else min(first, row.day)
        busiest = sorted(totals, key=lambda a: (-totals[a], a))
        return Origins(tuple(a for a in busiest if is_account(a)), Day(first or 0))

    @begun_again
    def create_key(
        self, account: str, user: str, policies: tuple[str, ...]
    ) -> credentials.AccessKey:
        """An access key for a user of any account."""
        with self.db.system_write() as tx:
            provider = self.lake.secrets
            made = credentials.create(tx, provider, account, user, policies, self.clock.now())
            told = {"accessKeyId": made.access_key_id, "userName": user, "policies": list(policies)}
            self.note(tx, "CreateAccessKey", told, account)
        return made

    def list_keys(self) -> list[dict[str, Any]]:
        """Every access key without its secret."""
        with self.db.system_read() as tx:
            found = credentials.listed(tx)
        return [
            {
                "accessKeyId": k.access_key_id,
                "account": k.account,
                "user": k.user,
                "policies": ", ".join(k.policies),
                "createdAt": iso(k.created_at),
                "state": "active" if k.disabled_at is None else f"disabled {iso(k.disabled_at)}",
            }
            for k in found
        ]

    @begun_again
    def disable_key(self, access_key_id: str) -> None:
        with self.db.system_write() as tx:
            credentials.disable(tx, access_key_id, self.clock.now())
            self.note(tx, "DisableAccessKey", {"accessKeyId": access_key_id})

    def note(
        self,
        tx: SystemTx,
        name: str,
        parameters: Mapping[str, Any],
        account: str | None = None,
        region: str | None = None,
    ) -> None:
        """Record what the operator does, in the transaction that does it; see `operator.acted`."""
        now = self.clock.now()
        acted(tx, self.lake.keys, name, parameters, now, account=account, region=region)

    def rotate_keys(
        self, tenant: Tenant | None, to: str, progress: Callable[[Rotated], None]
    ) -> Rotated:
        """Wrap data keys anew: all of the deployment's, or what one tenant has."""
        ring = self.lake.keys.ring
        about = {"to": to} if tenant is None else {"to": to, "tenant": f"{tenant.account}"}
        self.db.system_change(lambda tx: self.note(tx, "RotateKeys", about))

        def told(done: Rotated) -> None:
            self.tell_uses()
            progress(done)

        if tenant is not None:
            return rotate_tenant(self.lake, ring, tenant, to, told)
        begin(ring, to)
        own = KeyStore(Places.of(self.settings).own_keys)
        return rotate(self.lake, ring, own, self.clock.now(), told)

    @begun_again
    def tell_uses(self) -> None:
        """Write down which keys were used in this process and not told of yet."""
        if not self.lake.uses.any():
            return
        with self.db.system_write() as tx:
            used(tx, self.lake.keys, self.lake.uses, self.clock.now())

    def activity(self, wanted: Wanted) -> Iterator[dict[str, Any]]:
        """Records of the activity log, newest first."""
        return records(self.lake, wanted)

    def operator(self, tx: Any, tenant: Tenant) -> Call:
        """A request by the operator of this machine, on behalf of a tenant."""
        arn = f"arn:aws:iam::{tenant.account}:user/operator"
        principal = Principal(tenant.account, "operator", arn, (ADMINISTRATOR,), "")
        return Call(tx, tenant, principal, self.clock.now(), new_id(), "", self.deps)


def open_parts(settings: Settings, clock: Clock) -> Parts:
    """The parts of a deployment that was set up before.

    Raises SetupError where there is none, NewerSchema for a database ahead of this version, and
    KeyUnusable for keys that are not this deployment's. Nothing is changed by any of them.
    """
    if not settings.database_url and not (settings.data / "audit.db").exists():
        raise SetupError(f"There is no deployment in {settings.data}; run 'auditkeep init' first.")
    db = Database(settings.database)
    try:
        db.migrate()
        return _over(db, settings, clock)
    except BaseException:
        db.close()
        raise


def _over(db: Database, settings: Settings, clock: Clock) -> Parts:
    places = Places.of(settings)
    with db.system_read() as tx:
        origin = tx.scalar(tx.select(meta.c.value).where(meta.c.key == "log_origin"))
        vkey = tx.scalar(tx.select(meta.c.value).where(meta.c.key == "log_key"))
    if origin is None:
        raise SetupError("This database holds no deployment; run 'auditkeep init' first.")
    uses = Uses(clock)
    ring, find = keys.ring(settings, uses.note), keys.finder(settings)
    meter, library = LensMeter(), Library.load()
    lake = Lake.open(
        db=db,
        data=settings.data,
        objects=store_of(settings, clock),
        provider=ring,
        keystore=KeyStore(places.bucket_keys),
        signer=_signer(places, str(origin), vkey, partial(signers.open_log_key, find=find), uses),
        meter=meter,
        keeper=LensKeeper(meter, library, settings),
        clock=clock,
        secrets=keys.kept(settings, ring),
        uses=uses,
        key_seconds=settings.key_cache_seconds,
    )
    found = secrets.load(db, lake.secrets)
    jobs = DatabaseJobs(db)
    deps = Deps(
        settings=settings,
        library=library,
        lake=lake,
        links=Links(found["links"], settings.link_minutes * MINUTE),
        id_secret=found["ids"],
        wake=jobs.wake,
    )
    report_key = signers.open_report_key(places.report_key, find, uses.note)
    return Parts(settings, clock, db, lake, report_key, jobs, deps)


def _signer(
    places: Places, origin: str, vkey: str | None, open_key: Callable[..., NoteKey], uses: Uses
) -> Signer:
    """The log's signer; a change of its key that was cut off after its last word is ended."""
    if places.next_log_key.exists():
        signer = Signer(origin, open_key(places.next_log_key, note=uses.note))
        if signer.vkey == vkey:
            durable.take_place(places.next_log_key, places.log_key)
            return signer
    return Signer(origin, open_key(places.log_key, note=uses.note))


@contextmanager
def opened(settings: Settings, clock: Clock) -> Iterator[Parts]:
    """The same for one command: closed at its end."""
    parts = open_parts(settings, clock)
    try:
        yield parts
    finally:
        try:
            parts.tell_uses()
        except AuditkeepError as error:  # what the command did is done
            _log.warning("Which keys were used could not be written down: %s", error)
        finally:
            parts.db.close()
