"""Every table, in one place.

Times are `Instant` (microseconds, BIGINT), ids are text, digests are bytes. Every tenant-owned
table begins with (account, region); `Tx` adds both to each query, so that none can forget them.
Tables without them belong to the deployment and are reached through `SystemTx` only.

What a customer wrote or what tells of their people is `_sealed` (ADR 0021); what must be looked
for has a `_digest` beside it. Every other text is in clear, and docs/threat-model.md lists each of
these columns with the reason; a test holds the two lists together.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from auditkeep.crypto.fields import DIGEST_SIZE
from auditkeep.db.fields import DIGEST_OF, Sealed

metadata = MetaData()

VERSION = "0001"
"""The migration this code was written for; a database ahead of it is refused."""


def _owned(name: str, *columns: Column[object] | Index, key: tuple[str, ...]) -> Table:
    """A tenant-owned table: (account, region) first, also in its primary key."""
    return Table(
        name,
        metadata,
        Column("account", String(12), nullable=False),
        Column("region", String(32), nullable=False),
        *columns,
        PrimaryKeyConstraint("account", "region", *key),
        sqlite_with_rowid=False,
    )


def _text(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, Text, nullable=null)


def _int(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, BigInteger, nullable=null)


def _bytes(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, LargeBinary, nullable=null)


def _sealed(name: str, *, null: bool = False) -> Column[object]:
    """Text that is encrypted, bound to its row."""
    return Column(name, Sealed, nullable=null)


def _digest(name: str, of: str, *, null: bool = False) -> Column[object]:
    """What equal values of a sealed column are looked for by."""
    return Column(name, LargeBinary(DIGEST_SIZE), nullable=null, info={DIGEST_OF: of})


def _flag(name: str) -> Column[object]:
    return Column(name, Boolean, nullable=False, default=False)


# --- the deployment -------------------------------------------------------------------------

meta = Table("meta", metadata, Column("key", Text, primary_key=True), _text("value"))
"""Facts of the deployment: home account, master key fingerprint, log origin, …"""

access_keys = Table(
    "access_keys",
    metadata,
    Column("access_key_id", Text, primary_key=True),
    _text("account"),
    _text("user_name"),
    _bytes("secret"),  # sealed under the provider's key, bound to the access key id
    _text("policies"),  # JSON list of policy names
    _int("created_at"),
    _int("disabled_at", null=True),
)

organisation_members = Table(
    "organisation_members",  # as AWS Organizations last told them, where it is asked
    metadata,
    Column("account", String(12), primary_key=True),
    _sealed("name"),
    _sealed("email"),
    _int("joined_at"),
)

policies = Table(
    "policies",
    metadata,
    Column("account", String(12), nullable=False),
    Column("name", Text, nullable=False),
    _sealed("document"),  # IAM policy JSON
    PrimaryKeyConstraint("account", "name"),
)

_LANE = ("account", "region", "kind", "lane")

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),  # (kind, key, attempt): the same job is queued once
    _text("account"),
    _text("region"),
    _text("kind"),
    _text("key"),
    _text("lane", null=True),  # jobs of a kind that are handed to the same party; see work.jobs
    _text("state"),  # queued | running | done | failed
    _int("tries"),
    _int("due_at"),
    _int("lease_until", null=True),
    _flag("holds"),  # queued, and its lane waits with it
    _text("error", null=True),
    _int("created_at"),
    _int("ended_at", null=True),  # when it was done, or had failed for good
    Index("jobs_due", "state", "due_at", "id"),
    Index("jobs_lane", "account", "region", "kind", "lane", "state"),
    Index("jobs_holding", *_LANE, sqlite_where=text("holds"), postgresql_where=text("holds")),
)

roles = Table(
    "roles",
    metadata,
    Column("account", String(12), nullable=False),
    Column("name", Text, nullable=False),
    _text("id"),  # a role deleted and made again is another one
    _text("policies"),  # JSON list of policy names
    _sealed("trust"),  # JSON, see access.trust.Trust
    _int("longest"),  # seconds a session may last
    _int("created_at"),
    PrimaryKeyConstraint("account", "name"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("access_key_id", Text, primary_key=True),
    _text("account"),
    _text("role"),
    _text("role_id"),
    _sealed("name"),
    _bytes("secret"),  # sealed under the provider's key, bound to the access key id
    _bytes("token_digest"),  # the token itself is nowhere
    _sealed("policy", null=True),  # a document that narrows what the role grants
    _sealed("tags"),  # JSON pairs
    _sealed("origin"),  # who took the role: an ARN, or an issuer and its subject
    _int("issued_at"),
    _int("expires_at"),
    _int("revoked_at", null=True),
    Index("sessions_expires_at", "expires_at"),
)

proofs_used = Table(
    "proofs_used",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # of a proof that may be shown once
    _int("forget_at"),
)

log_entries = Table(
    "log_entries",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    _bytes("entry"),  # 32 opaque bytes
    _int("log_index", null=True),  # given by the sequencer; null = pending
    Index("log_entries_index", "log_index", unique=True),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    _bytes("root"),
    _text("note", null=True),  # the signed note; null between decision and signature
    _int("created_at"),
)

bearer_tokens = Table(
    "bearer_tokens",  # who may read the log's tiles, or bring events; see access.tokens
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # the token itself is nowhere
    _text("id"),
    _text("kind"),
    _text("account", null=True),  # of a token for events: whose they are
    _text("region", null=True),
    _text("name"),
    _int("created_at"),
    _int("expires_at", null=True),
    _int("revoked_at", null=True),
    Index("bearer_tokens_id", "id", unique=True),
)

anchors = Table(
    "anchors",  # what somebody outside said of a checkpoint; see anchoring.store
    metadata,
    Column("origin", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("authority", Text, nullable=False),  # a witness's name, or the URL of a TSA
    _text("kind"),  # witness | timestamp
    _text("note"),  # the checkpoint as the log signed it
    _text("proof"),  # a signature line, or a TimeStampResp in base64
    _int("said_at"),  # the time that the proof itself names
    PrimaryKeyConstraint("origin", "size", "authority"),
)

anchor_tries = Table(
    "anchor_tries",  # how the newest attempt with each authority went
    metadata,
    Column("authority", Text, primary_key=True),
    _text("kind"),
    _int("failing_since", null=True),
    _text("error", null=True),
    _int("tried_at"),
)

# --- tenants ---------------------------------------------------------------------------------

tenants = _owned(
    "tenants",
    _text("status"),  # ACTIVE | INACTIVE | ERASING | ERASED, see accounts.model
    _text("kms_key"),
    _sealed("settings", null=True),  # JSON of UpdateSettings' members; null: none was set
    _int("registered_at"),
    _int("last_batch_no"),
    # the last batch that may hold evidence: what answers are remembered under
    Column("last_evidence_batch", BigInteger, nullable=False, default=0),
    # rises with every change of an interval: what is remembered of lenses
    Column("lens_version", BigInteger, nullable=False, default=0),
    # rises with every change of an account's regions: what is remembered of the plan
    Column("regions_version", BigInteger, nullable=False, default=0),
    # rises when more is seen than before: what was read earlier may hold more that is wanted
    Column("wanted_version", BigInteger, nullable=False, default=0),
    # rises with every change of an assessment: what is remembered of all of them
    Column("assessments_version", BigInteger, nullable=False, default=0),
    Column("keeps", Text, nullable=False, default="library"),  # see observations.KeepPolicy
    _int("keeps_since", null=True),
    key=(),
)

erasures = _owned(
    "erasures",  # of everything a tenant had; its certificates are stored files
    _text("id"),
    _int("asked_at"),
    _int("deadline"),
    _text("authority"),  # the governance record of who asked for it
    _text("stage"),  # see accounts.erasure.Stage
    _text("gone"),  # JSON: how much has gone so far
    _int("destroyed_at", null=True),  # when nothing of it was left here
    _int("ended_at", null=True),
    key=("id",),
)

retention = _owned(
    "retention",  # how long classes are kept, as the last governance record about each says
    _text("kind"),  # of a bucket's class, see lake.retention.KINDS
    _int("days", null=True),  # null: for ever
    _flag("chosen"),  # by somebody for this tenant; false: the deployment's value, as logged
    _text("authority"),  # the governance record
    _int("set_at"),
    key=("kind",),
)

holds = _owned(
    "holds",  # legal holds; who placed them and why is in their governance records
    _text("id"),
    _text("assessment_id", null=True),  # null: everything of a time
    _int("first", null=True),  # collected from then on; null: from the beginning
    _int("last", null=True),  # until then, inclusive; null: without end
    _int("placed_at"),
    _int("released_at", null=True),
    key=("id",),
)

tags = _owned(
    "tags",
    _text("arn"),
    _digest("name", of="key"),
    _sealed("key"),
    _sealed("value"),
    key=("arn", "name"),
)

controls = _owned(
    "controls",
    _text("id"),
    _sealed("name"),
    _sealed("document"),  # JSON, see frameworks.model.Control
    _int("created_at"),
    _int("updated_at"),
    key=("id",),
)

frameworks = _owned(
    "frameworks",
    _text("id"),
    _sealed("name"),
    _sealed("document"),  # JSON, see frameworks.model.Framework
    _int("created_at"),
    _int("updated_at"),
    key=("id",),
)

framework_shares = _owned(
    "framework_shares",  # one row on the sender's side, and one on the recipient's
    _text("id"),
    _text("side"),  # SENT | RECEIVED
    _text("framework_id"),  # the sender's
    _text("source_account"),
    _text("source_region"),
    _text("destination_account"),
    _text("destination_region"),
    _text("status"),  # ACTIVE | SHARED | FAILED | DECLINED | REVOKED; the rest follows from time
    _sealed("comment", null=True),
    _sealed("document"),  # JSON, see frameworks.sharing_model.Subject
    _sealed("snapshot", null=True),  # JSON; on the recipient's side, for as long as it is open
    _int("created_at"),
    _int("updated_at"),
    _int("expires_at"),
    Index("framework_shares_side", "account", "region", "side", "created_at"),
    key=("id",),
)

delegated_administrators = _owned(
    "delegated_administrators",  # of the organisation that the owning account manages
    _text("administrator"),
    _int("registered_at"),
    key=(),
)

# --- assessments -----------------------------------------------------------------------------

assessments = _owned(
    "assessments",
    _text("id"),
    _sealed("name"),
    _text("status"),  # ACTIVE | INACTIVE
    _sealed("document"),  # JSON, see assessments.model.Assessment
    _int("created_at"),
    _int("updated_at"),
    _int("version"),  # rises with every change, also of its parts
    _int("next_ordinal"),  # control ordinals are never reused
    _flag("dormant"),
    _int("frozen_at_batch", null=True),  # set when it becomes INACTIVE
    _text("kms_key", null=True),  # the tenant's when it was created; null: the deployment's
    key=("id",),
)

assessment_control_sets = _owned(
    "assessment_control_sets",
    _text("assessment_id"),
    _digest("set_key", of="set_id"),
    _sealed("set_id"),  # its name
    _int("position"),
    _text("status"),  # ACTIVE | UNDER_REVIEW | REVIEWED
    key=("assessment_id", "set_key"),
)

assessment_controls = _owned(
    "assessment_controls",
    _text("assessment_id"),
    _int("ordinal"),
    _sealed("set_id"),
    _text("control_id"),
    _int("position"),
    _text("status"),  # UNDER_REVIEW | REVIEWED | INACTIVE
    _sealed("document"),  # JSON: the control as this assessment has it
    _flag("removed"),  # its custom control was deleted; past evidence stays
    Index("assessment_controls_control", "account", "region", "control_id"),
    key=("assessment_id", "ordinal"),
)

control_comments = _owned(
    "control_comments",
    _text("assessment_id"),
    _int("ordinal"),
    _int("number"),
    _sealed("author"),
    _sealed("body"),
    _int("posted_at"),
    key=("assessment_id", "ordinal", "number"),
)

delegations = _owned(
    "delegations",
    _text("id"),
    _text("assessment_id"),
    _sealed("set_id"),
    _sealed("role_arn"),
    _text("status"),  # IN_PROGRESS | UNDER_REVIEW | COMPLETE
    _sealed("comment", null=True),
    _sealed("created_by"),
    _int("created_at"),
    _int("updated_at"),
    Index("delegations_assessment", "account", "region", "assessment_id"),
    key=("id",),
)

change_logs = _owned(
    "change_logs",
    _text("id"),
    _text("assessment_id"),
    _digest("set_key", of="set_id", null=True),
    _sealed("set_id", null=True),
    _text("control_id", null=True),
    _text("object_type"),
    _sealed("object_name"),
    _text("action"),
    _int("created_at"),
    _sealed("created_by"),
    Index("change_logs_assessment", "account", "region", "assessment_id", "created_at"),
    key=("id",),
)

notifications = _owned(
    "notifications",
    _text("id"),  # milliseconds of created_at, "_", a UUID
    _digest("recipient_key", of="recipient"),
    _sealed("recipient"),  # see ids.principal_of
    _text("assessment_id"),
    _sealed("assessment_name"),
    _sealed("set_id"),
    _text("kind"),  # see notifications.model.NoticeKind
    _sealed("description"),
    _sealed("source"),  # the ARN of who caused it
    _int("created_at"),
    Index("notifications_recipient", "account", "region", "recipient_key", "created_at"),
    key=("id",),
)

outgoing = _owned(
    "outgoing",  # what is on its way out of the house; the jobs that carry it hold its id only
    _text("id"),
    _sealed("document"),  # JSON, see notifications.model.Message
    _int("created_at"),
    Index("outgoing_age", "created_at"),
    key=("id",),
)

webhooks = _owned(
    "webhooks",
    _text("name"),
    _sealed("origin"),  # scheme, host and port: what may be shown of the URL
    _text("sends"),  # JSON list: notices, events
    _sealed("target"),  # JSON: URL and secret
    _int("created_at"),
    key=("name",),
)

mail_addresses = _owned(
    "mail_addresses",
    _digest("principal_key", of="principal"),
    _sealed("principal"),  # see ids.principal_of
    _sealed("address"),
    _int("created_at"),
    key=("principal_key",),
)

reports = _owned(
    "reports",
    _text("id"),
    _text("assessment_id"),
    _sealed("name"),
    _text("status"),  # IN_PROGRESS | COMPLETE | FAILED
    _sealed("document"),  # JSON, see reports.model.Report
    _int("created_at"),
    key=("id",),
)

uploads = _owned(
    "uploads",
    _digest("name_key", of="name"),
    _sealed("name"),  # evidenceFileName as the server gave it
    _text("object_key"),
    _int("size", null=True),
    _bytes("sha256", null=True),
    _int("created_at"),
    _int("expires_at"),
    key=("name_key",),
)

# --- evidence --------------------------------------------------------------------------------

unkept = _owned(
    "unkept",  # what arrived and no lens saw, where only what is seen is kept: see lake.keeping
    _int("day"),  # of the event
    _text("source"),
    _text("match_key"),
    _text("origin_account"),
    _text("origin_region"),
    _int("first_time"),  # of events
    _int("last_time"),
    _int("last_at"),  # when something of this kind was last passed over
    key=("day", "source", "match_key", "origin_account", "origin_region"),
)

lens_intervals = _owned(
    "lens_intervals",
    _text("id"),
    _text("assessment_id"),
    _int("ordinal"),
    _int("opens_at"),  # event time, inclusive
    _int("closes_at", null=True),  # event time, exclusive; null = open
    _text("match_keys"),  # JSON list, sorted
    _text("accounts"),  # JSON list, sorted
    _text("regions"),  # JSON list, sorted, or null for every region
    _text("every"),  # DAILY | WEEKLY | MONTHLY: which days it sees, see evidence.slots
    _int("anchor"),  # from when its slots are counted: kept where an interval is opened anew
    _flag("frozen"),  # its assessment is INACTIVE and sees no later batch
    _flag("backfilled"),  # it opened a past afterwards
    Column("version", BigInteger, nullable=False, default=0),  # wanted_version that it made
    # in this order in the key itself: SQLite prefers a table's key to an index that names more
    key=("assessment_id", "ordinal", "id"),
)

selections = _owned(
    "selections",
    _text("assessment_id"),
    _int("ordinal"),
    _int("day"),
    _int("up_to_batch", null=True),  # null: nothing but the exceptions is selected
    key=("assessment_id", "ordinal", "day"),
)

selection_exceptions = _owned(
    "selection_exceptions",
    _text("assessment_id"),
    _int("ordinal"),
    _int("day"),
    _bytes("observation_id"),
    _flag("chosen"),  # true: added to the selection, false: taken out of it
    key=("assessment_id", "ordinal", "day", "observation_id"),
)

# --- CloudTrail's trails ----------------------------------------------------------------------

trails = _owned(
    "trails",
    _text("name"),
    _sealed("document"),  # JSON, see collection.trails.Trail
    _int("created_at"),
    _int("listed_at"),  # when its bucket was listed last; 0: never
    _int("searched_at"),  # when that went further back
    key=("name",),
)

trail_places = _owned(
    "trail_places",  # how far an account and region of a trail has been read
    _text("trail"),
    _text("place"),  # its folder in the bucket
    _sealed("document"),  # JSON, see collection.trails.Progress
    _int("updated_at"),
    key=("trail", "place"),
)

trail_objects = _owned(
    "trail_objects",  # which objects were read, so that a listing need not fetch them to know
    Column("id", LargeBinary(16), nullable=False),
    _int("read_at"),
    Index("trail_objects_age", "account", "region", "read_at"),
    key=("id",),
)

# --- collection ------------------------------------------------------------------------------

baselines = _owned(
    "baselines",  # frameworks that are collected for also where no assessment looks
    _text("frameworks"),  # JSON list of ids, sorted
    _text("accounts"),  # JSON list, sorted; none: the tenant's own
    _int("since"),
    key=(),
)

collection_accounts = _owned(
    "collection_accounts",  # origin accounts that are asked otherwise than the settings say
    _text("origin_account"),
    _text("regions", null=True),  # JSON list; null: as the settings say
    _sealed("role", null=True),  # a name, or an ARN; null: as the settings say
    _sealed("external_id", null=True),
    _flag("paused"),
    key=("origin_account",),
)

collection_regions = _owned(
    "collection_regions",  # which regions an origin account has switched on, as it said last
    _text("origin_account"),
    _text("regions", null=True),  # JSON, see collection.regions; null: it never said
    _int("said_at", null=True),  # when it said so
    _int("asked_at"),  # when it was asked last
    _flag("sure"),  # that is taken as true
    key=("origin_account",),
)

collection_targets = _owned(
    "collection_targets",  # one question to one source of one account and region, and its state
    _text("origin_account"),
    _text("origin_region"),
    _text("source"),
    _text("what"),  # the keyword of an API call; "" where a source has one question only
    _int("slot", null=True),  # the last day that was asked for to the end
    _int("since", null=True),  # when the last complete look began
    _int("looked_at", null=True),  # when the whole current state was read last
    _int("done_at", null=True),  # when the last question was answered to the end
    _int("items"),  # observations of that answer
    _int("calls"),  # requests that it took
    _int("counted", null=True),  # the source's own count of it
    _text("reason"),  # why the last question was not answered, see sources.pull; "" where it was
    _text("detail"),  # the IAM action that is missing, or the feature that is off
    _sealed("message"),
    # JSON: what of the last answer is missing, by match key or resource
    _sealed("faults", null=True),
    _int("tries"),  # since the last answer
    _int("again_at", null=True),  # when it is worth asking again
    _text("under_way", null=True),  # JSON: the pages that are kept of an answer that goes on
    _sealed("put_off", null=True),  # JSON: why it is tried again soon, and since when
    Index("collection_targets_again", "again_at"),
    key=("origin_account", "origin_region", "source", "what"),
)

collection_gaps = _owned(
    "collection_gaps",  # times in which something due was not collected
    _text("id"),
    _text("origin_account"),
    _text("origin_region"),
    _text("source"),
    _text("what"),
    _int("opens_at"),
    _int("closes_at", null=True),
    _text("reason"),
    _text("detail"),
    _sealed("message"),
    _flag("filled"),  # what was missed was had later, from the source's own history
    _int("noted_at"),
    _text("run"),  # the run that noted it, "" where none did
    _int("told"),  # what owners know of it: 0 nothing, 1 that it opened, 2 all
    Index("collection_gaps_open", "account", "region", "closes_at"),
    Index("collection_gaps_told", "account", "region", "told"),
    key=("id",),
)

config_rules = _owned(
    "config_rules",  # which rules of AWS Config an account has, as it said last
    _text("origin_account"),
    _text("origin_region"),
    _sealed("document"),  # JSON list of sources.rules.Rule, by name
    _int("changed_at"),
    key=("origin_account", "origin_region"),
)

config_pushed = _owned(
    "config_pushed",  # judgements that were brought, until their account was asked about them
    _text("id"),
    _text("origin_account"),
    _text("origin_region"),
    _sealed("record"),
    _sealed("caller"),
    _text("collector"),  # the door it came through
    _int("received_at"),
    Index("config_pushed_place", "account", "region", "origin_account", "origin_region"),
    key=("id",),
)

backfills = _owned(
    "backfills",  # histories of sources that are fetched for an assessment that reaches back
    _text("id"),
    _text("assessment_id"),
    _text("origin_account"),
    _text("origin_region"),
    _text("source"),
    _text("what"),  # "trail" where whoever reads the account's trail fetches it, "" otherwise
    _int("start_at"),
    _int("end_at"),
    _text("state"),  # RUNNING | COMPLETE | FAILED
    _text("resume", null=True),  # where its source goes on behind the last page that was kept
    _int("observations"),
    _text("message"),
    _int("created_at"),
    Index("backfills_assessment", "account", "region", "assessment_id"),
    key=("id",),
)

collection_runs = _owned(
    "collection_runs",  # runs under way: what becomes their record when they end
    _text("id"),
    _sealed("document"),  # JSON, see collection.pulls.Pulling
    _int("created_at"),
    key=("id",),
)

# --- the lake --------------------------------------------------------------------------------

buckets = _owned(
    "buckets",
    _text("id"),
    _text("class"),  # facts | manual/<assessment> | activity | reports | fields | …
    _text("month"),  # of collection
    _text("provider_key"),
    _int("generation"),
    _int("created_at"),
    _int("destroyed_at", null=True),
    _flag("ids_gone"),  # destroyed, and the ids and counts of what was in it too
    _text("successor", null=True),  # the next generation, once this one is being cut down
    Index("buckets_class", "account", "region", "class"),
    key=("id",),
)

units = _owned(
    "units",
    _text("id"),
    _text("kind"),
    _sealed("name", null=True),  # of the file, where it was one
    _text("run"),
    _text("counts"),  # JSON
    _int("batch_no", null=True),  # null: it held nothing new
    _int("committed_at"),
    key=("id",),
)

batches = _owned(
    "batches",
    _int("batch_no"),
    _text("bucket_id"),
    _text("unit_id"),
    _int("rows"),
    _int("size"),  # bytes of raw bytes and envelopes: what a sealer holds in memory
    _bytes("root"),
    _bytes("opening"),  # sealed: salt and batch record
    _bytes("leaves", null=True),  # leaf hashes of a small batch; larger ones are an object
    _int("log_position"),
    _text("segment_id", null=True),  # null: still in the tail
    _int("min_time"),
    _int("max_time"),
    _int("committed_at"),
    _text("gone", null=True),  # JSON: ranges of observations that were destroyed by themselves
    Index("batches_segment", "account", "region", "segment_id", "bucket_id"),
    key=("batch_no",),
)

tail = _owned("tail", _int("batch_no"), _bytes("blob"), key=("batch_no",))

segments = _owned(
    "segments",
    _text("id"),
    _text("bucket_id"),
    _int("rows"),
    _int("size"),
    _int("unpacked"),  # bytes of raw bytes and envelopes: what a compactor holds in memory
    _bytes("sha256"),
    _int("min_time"),
    _int("max_time"),
    _int("min_batch"),
    _int("max_batch"),
    _text("match_keys"),  # JSON list, sorted: what a reader prunes by
    _int("created_at"),
    key=("id",),
)

replaced = _owned(
    "replaced",  # segments whose rows lie in another: readers that began before may still read them
    _text("segment_id"),
    _text("bucket_id"),
    _int("at"),
    key=("segment_id",),
)

blobs = _owned(
    "blobs",  # stored files: manual evidence, uploads, reports
    _text("id"),
    _text("bucket_id"),
    _text("attempt", null=True),  # ends the object's name, once the file was copied
    _int("size"),
    _bytes("sha256"),
    _int("created_at"),
    Index("blobs_bucket", "account", "region", "bucket_id"),
    key=("id",),
)

observation_ids = _owned(
    "observation_ids",
    Column("id", LargeBinary(16), nullable=False),
    _bytes("content"),  # first 16 bytes of the SHA-256 of the raw bytes
    _int("batch_no"),
    key=("id",),
)

conflicts = _owned(
    "conflicts",
    _bytes("observation_id"),
    _bytes("content"),
    _text("unit_id"),
    _text("position"),
    _int("seen_at"),
    key=("observation_id", "content"),
)

rollups = _owned(
    "rollups",
    _int("day"),
    _text("match_key"),
    _text("origin_account"),
    _text("origin_region"),
    _text("source"),
    _text("verdict"),  # raw; "" where the source gives none
    _text("bucket_id"),
    _int("items"),
    _int("resources"),
    _int("issues"),
    _int("first_time"),
    _int("last_time"),
    _int("last_batch"),
    Index("rollups_key", "account", "region", "match_key", "day"),
    key=(
        "day",
        "match_key",
        "origin_account",
        "origin_region",
        "source",
        "verdict",
        "bucket_id",
    ),
)

quotas = _owned("quotas", _text("name"), _int("value"), key=("name",))  # see accounts.quotas

usage = _owned(
    "usage",  # observations that an active lens saw when they were appended, see lake.metering
    _int("day"),  # of the append
    _text("origin_account"),
    _text("origin_region"),
    _text("source"),
    _int("items"),
    key=("day", "origin_account", "origin_region", "source"),
)

# --- activity --------------------------------------------------------------------------------

activity_pending = _owned(
    "activity_pending",  # records that are on their way into the lake, for seconds
    _text("id"),
    _text("bucket_id"),  # of class activity: its key seals the blob
    _int("records"),
    _bytes("blob"),
    _int("created_at"),
    key=("id",),
)

TENANT_TABLES = frozenset(t.name for t in metadata.sorted_tables if "region" in t.c) - {"jobs"}
