"""Settings: read from `AUDITKEEP_*` once, validated at start, frozen, never printed with secrets.

`--data DIR` alone is the embedded default; a setting moves one part elsewhere. `docs/settings.md`
lists them all (a test holds it to this file).
"""

import re
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from auditkeep.clock import MINUTE
from auditkeep.errors import SetupError

_BUS = re.compile(r"arn:[^:\s]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/[^\s:]+")
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=+-]+)*/?")
_S3_WRONG = (
    "AUDITKEEP_OBJECTS is s3://BUCKET or s3://BUCKET/PREFIX, without user, password or query: "
    "credentials come from this process's AWS configuration"
)
_S3_CA_WRONG = "AUDITKEEP_OBJECTS_CA_FILE goes with AUDITKEEP_OBJECTS_ENDPOINT_URL"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_BUS_WRONG = "write the bus's ARN, arn:aws:events:REGION:ACCOUNT:event-bus/NAME"
_FROM_WRONG = "AUDITKEEP_SMTP_HOST needs AUDITKEEP_SMTP_FROM, the address that mail comes from"
_LOGIN_WRONG = "AUDITKEEP_SMTP_USER and its password (or AUDITKEEP_SMTP_PASSWORD_FILE) go together"
_MAIL_WRONG = "AUDITKEEP_CHECKPOINT_MAIL needs AUDITKEEP_SMTP_HOST, which takes the mail"
_ADDRESS_WRONG = "AUDITKEEP_CHECKPOINT_MAIL is a list of mail addresses"
_TSA_WRONG = "AUDITKEEP_TSA_URL needs AUDITKEEP_TSA_CA_FILE, whom its timestamps are checked by"
_DATABASE_WRONG = "a password does not belong in a URL: use PGPASSWORD, PGPASSFILE or a certificate"
_PAIR_WRONG = "AUDITKEEP_TLS_CERTIFICATE and AUDITKEEP_TLS_PRIVATE_KEY go together"
_SSLMODE_WRONG = (
    "a database on another machine is reached with sslmode=verify-full; AUDITKEEP_DATABASE_TLS=off "
    "admits less"
)
_URL_WRONG = "write a URL without user, password, query or fragment"
_HTTPS_WRONG = "write an https:// URL; http:// is for this machine alone"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_CLEAR_WRONG = "a password is never sent in clear: AUDITKEEP_SMTP_TLS must be starttls or tls"

QuotaName = Literal[
    "active-assessments",
    "member-accounts",
    "accounts-per-assessment",
    "custom-controls",
    "custom-frameworks",
    "share-recipients",
    "share-days",
    "sources-per-control",
    "core-controls",
    "common-controls",
    "manual-items-per-day",
    "manual-file-bytes",
    "report-items",
    "tags",
]
"""What is limited by number; `accounts.quotas` says what each means."""


RetentionKind = Literal["facts", "manual", "activity", "reports"]
"""What has a retention of its own; `lake.retention` says what each means."""


class Settings(BaseSettings):
    """Everything an operator may decide; `data` comes from the command line."""

    model_config = SettingsConfigDict(env_prefix="AUDITKEEP_", frozen=True, extra="forbid")

    data: Path = Field(description="The data directory.")
    database_url: str = Field(
        default="",
        description="PostgreSQL instead of the embedded SQLite: `postgresql://USER@HOST/NAME`. "
        "Empty: `audit.db` in the data directory.",
    )
    keys: Path | None = Field(
        default=None,
        description="The directory of master key, log key, report key and wrapped bucket keys. "
        "Empty: `keys` in the data directory; put it on another disk in production.",
    )
    compact_minutes: float = Field(
        default=10.0,
        ge=0,
        description="How often small segments are looked for that can be merged into larger ones. "
        "0: never by itself; `auditkeep compact` does it then.",
    )
    compact_rows: int = Field(
        default=50_000,
        ge=2_000,
        le=1_000_000,
        description="Observations of a full segment: merging makes none with more.",
    )
    compact_megabytes: int = Field(
        default=128,
        ge=1,
        le=4_096,
        description="The same in megabytes before compression: merging takes about three times as "
        "much memory.",
    )
    # --- objects: docs/objects.md
    objects: str = Field(
        default="",
        description="Where segments, files, reports and the log's tiles lie: `s3://BUCKET/PREFIX`, "
        "with this process's AWS credentials. Empty: `objects` in the data directory.",
    )
    objects_endpoint_url: str = Field(
        default="",
        description="Where a store is asked that speaks as S3 does. Empty: AWS.",
    )
    objects_region: str = Field(
        default="",
        description="The bucket's region. Empty: that of this process's AWS configuration.",
    )
    objects_kms_key: str = Field(
        default="",
        description="The ARN of the KMS key that S3 encrypts objects with (SSE-KMS), beside our "
        "own encryption. Empty: as the bucket is set.",
    )
    objects_ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) that the store at AUDITKEEP_OBJECTS_ENDPOINT_URL proves "
        "itself by, where no public authority signs it.",
    )
    objects_lock: Literal["none", "governance", "compliance"] = Field(
        default="governance",
        description="How what is put is locked in a bucket that has Object Lock.",
    )
    objects_lock_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="For how long. Empty: the days of facts in AUDITKEEP_RETENTION_DAYS, or 731.",
    )
    objects_timeout_seconds: float = Field(
        default=20.0,
        gt=0,
        le=300,
        description="How long one request may take; all tries of one together: three times that.",
    )
    objects_copies_mb: int = Field(
        default=4096,
        ge=64,
        description="Room for copies of objects in S3, which are read from this machine's disk.",
    )
    # --- master keys: docs/keys.md
    master_key: SecretStr = Field(
        default=SecretStr(""),
        description="The deployment's master key itself instead of the file `master.key`: 32 bytes "
        "in base64, or the name of a key held elsewhere; several with spaces between, newest last. "
        "A systemd credential `auditkeep.master-key` is better: other processes see no credential.",
    )
    key_cache_seconds: int = Field(
        default=300,
        ge=60,
        le=3600,
        description="For how long an unwrapped bucket key stays in memory: a master key that is "
        "disabled opens nothing any more after so long at most.",
    )
    kms: Literal["none", "aws"] = Field(
        default="none",
        description="Whether tenants may name a key of AWS KMS in their settings, and the "
        "deployment have one: `aws` asks with this process's AWS credentials.",
    )
    kms_endpoint_url: str = Field(
        default="",
        description="Where AWS KMS is asked. Empty: AWS, in the region of the key's ARN.",
    )
    kms_replica_regions: str = Field(
        default="",
        description="Regions, between commas, with replicas of multi-Region keys: asked in this "
        "order when the region of the key's ARN does not answer.",
    )
    kms_timeout_seconds: float = Field(
        default=2.0, gt=0, le=30, description="How long one answer of AWS KMS is waited for."
    )
    pkcs11_module: str = Field(
        default="",
        description="The PKCS#11 library of an HSM, such as "
        "`/usr/lib/softhsm/libsofthsm2.so`. Empty: there is none.",
    )
    pkcs11_pin: SecretStr = Field(default=SecretStr(""), description="The HSM's user PIN.")
    pkcs11_pin_file: Path | None = Field(
        default=None, description="A file that holds the PIN instead; mode 0600."
    )
    database_tls: Literal["verify-full", "off"] = Field(
        default="verify-full",
        description="Whether a PostgreSQL on another machine must prove who it is, by a "
        "certificate for its name. `off` lets its URL say otherwise (`sslmode=…`).",
    )
    tls: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether `serve` speaks TLS: `auto` does on every address but loopback; `on` "
        "there too; `off` is for a TLS proxy on another machine, and loudly so.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="The server's certificate chain, PEM. Empty: one is made for a first start.",
    )
    tls_private_key: Path | None = Field(
        default=None, description="Its private key, PEM, without a password."
    )
    tls_names: str = Field(
        default="",
        description="Names and addresses, between commas, that a certificate made here is for.",
    )
    crypto: Literal["any", "approved"] = Field(
        default="any",
        description="`approved` refuses what FIPS 140-3 does not admit: docs/cryptography.md.",
    )
    external_url: str = Field(
        default="",
        description="The URL under which clients reach this server, for the links it hands out. "
        "Empty: as each request names it.",
    )
    aws_sts_endpoint: str = Field(
        default="",
        description="The only STS that is asked who a presigned proof belongs to, such as a VPC "
        "endpoint's URL. Empty: those of AWS itself.",
    )
    log_origin: str = Field(
        default="",
        description="The log's name in checkpoints, read when the log is made. "
        "Empty: `auditkeep.local/` and a random id.",
    )
    assessment_regions: Literal["own", "all"] = Field(
        default="own",
        description="Which origin regions an assessment sees: its own and global services "
        "(as AWS), or `all`.",
    )
    cloudtrail_reads: bool = Field(
        default=False,
        description="Accept read-only CloudTrail events, which AWS stopped using as evidence.",
    )
    organizations: Literal["none", "aws"] = Field(
        default="none",
        description="Who says which accounts belong together: `aws` asks AWS Organizations with "
        "this process's AWS credentials; `none` lets a scope name any account.",
    )
    organizations_minutes: int = Field(
        default=15, ge=1, description="How often AWS Organizations is asked for its accounts."
    )
    # where AWS's behaviour is a known complaint, and where it is more lenient than one may like
    allow_reopen_reviewed_controls: bool = Field(
        default=False,
        description="Let a control that is REVIEWED become UNDER_REVIEW or INACTIVE again "
        "(REVIEWED is final at AWS).",
    )
    check_roles: bool = Field(
        default=False,
        description="Answer that an audit owner or delegate is not found unless they are a user "
        "with a key, or a role, of this deployment.",
    )
    echo_aws_services: bool = Field(
        default=False,
        description="Answer with the services that a scope was sent with (AWS ignores them, which "
        "Terraform configurations that still name some take for drift).",
    )
    strict_keywords: bool = Field(
        default=False,
        description="Refuse controls whose keywords no list knows (AWS accepts them and collects "
        "nothing).",
    )
    lenient_share_revoke: bool = Field(
        default=False,
        description="Let REVOKE of a framework share that was accepted succeed and change nothing "
        "(AWS refuses it, and so fails Terraform's destroy).",
    )
    throttle_rate: float = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Requests a second that one account may make in one region, all operations "
        "together; what exceeds them is answered with ThrottlingException. AWS admits 20. 0: any.",
    )
    throttle_burst: int = Field(
        default=20, ge=1, description="Requests that may come at once after a pause."
    )
    trusted_proxies: str = Field(
        default="",
        description="Proxies whose X-Forwarded-For and X-Forwarded-Proto count, for the policy "
        "conditions `aws:SourceIp` and `aws:SecureTransport`: CIDR ranges between commas.",
    )
    quotas: dict[QuotaName, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Quotas that differ from AWS's, as a JSON object of names and numbers; one "
        "tenant's are set with `auditkeep quotas set`.",
    )
    usage_price: Decimal = Field(
        default=Decimal("1.25"),
        ge=0,
        description="What 1,000 resource assessments cost with AWS, for `auditkeep usage`.",
    )
    usage_currency: str = Field(
        default="USD", pattern="^[A-Z]{3}$", description="The currency of that price."
    )
    erase_minutes: int = Field(
        default=10,
        ge=1,
        le=10_080,
        description="How soon everything of an account is to be destroyed after DeregisterAccount "
        "with the policy ALL. It begins at once; what takes longer is shown as late. AWS: 7 days.",
    )
    retention_days: dict[RetentionKind, Annotated[int, Field(ge=1)] | None] = Field(
        default_factory=dict,
        description="How many days classes are kept after they were collected, as a JSON object; "
        "null: for ever. Facts and manual evidence: 731, two years; activity and reports: for "
        "ever. One tenant's are set with `auditkeep retention set`.",
    )
    key_backup_days: int = Field(
        default=7,
        ge=0,
        le=365,
        description="The longest that any backup of the key directory is kept: so long after a "
        "destruction it may be undone from one. Certificates of destruction state it.",
    )
    key_backups: Path | None = Field(
        default=None,
        description="The folder that takes backups of the key directory, apart from those of data, "
        "where `auditkeep backup create` is told no other. `serve` takes away there, every hour, "
        "what is older than promised.",
    )
    threads: int = Field(default=4, ge=1, le=64, description="Threads that answer requests.")
    link_minutes: int = Field(
        default=15, ge=1, le=720, description="How long presigned links for files are valid."
    )
    report_volume_rows: int = Field(
        default=2000, ge=10, le=2000, description="Rows of one listing volume of a report."
    )
    report_memory_mb: int = Field(
        default=1024, ge=128, description="Memory that rendering one report volume may take."
    )

    manual_s3_buckets: str = Field(
        default="",
        description="Buckets of S3 out of which `s3ResourcePath` may import manual evidence, with "
        "this process's AWS credentials; names between commas. Empty: none, only files that an "
        "operator has put in (`auditkeep stock`).",
    )
    manual_s3_region: str = Field(
        default="us-east-1", description="The region that S3 is first asked in for those buckets."
    )

    # --- collection: what is asked of AWS
    collect: Literal["none", "aws"] = Field(
        default="none",
        description="Whether AWS is asked for evidence: `aws` asks with this process's AWS "
        "credentials and the roles they may take; `none` asks nobody.",
    )
    collect_role: str = Field(
        default="AuditkeepCollector",
        max_length=512,
        description="The role that is taken in each account before it is asked; `{account}` in it "
        "is replaced. Empty: none is taken, and only the account of the process's own "
        "credentials can be asked.",
    )
    collect_external_id: str = Field(
        default="",
        max_length=1224,
        description="The external id that those roles expect; `{tenant}` in it is replaced by the "
        "account that collects. Empty: none is sent.",
    )
    collect_session_name: str = Field(
        default="auditkeep",
        pattern=r"^[\w+=,.@-]{2,64}$",
        description="The session name under which the accounts' own CloudTrail shows what was "
        "asked.",
    )
    collect_regions: str = Field(
        default="",
        description="Regions that are asked where an assessment looks at all of them, between "
        "commas. Empty: the tenant's own. One account's are set with `auditkeep collect account`.",
    )
    collect_minutes: int = Field(
        default=60,
        ge=1,
        le=1440,
        description="How often what has no slot is asked for: Config, Security Hub, CloudTrail.",
    )
    collect_threads: int = Field(
        default=4, ge=1, le=64, description="Accounts that one process asks at the same time."
    )
    collect_rate: float = Field(
        default=10,
        gt=0,
        le=1000,
        description="Requests a second that one process makes to one account; fewer for a while "
        "after the account throttled it.",
    )

    collect_aggregator: str = Field(
        default="",
        pattern=r"^(\d{12}/[a-z]{2}(-[a-z]+)+-\d)?$",
        description="ACCOUNT/REGION where aggregators of AWS Config lie: they are asked instead of "
        "the accounts and regions they see. Empty: each account is asked.",
    )
    collect_event_store: str = Field(
        default="",
        pattern=r"^(arn:aws[a-z-]*:cloudtrail:[a-z0-9-]{5,30}:\d{12}:eventdatastore/[a-zA-Z0-9-]{3,64})?$",
        description="The ARN of an event data store of CloudTrail Lake that has the events of all "
        "accounts: it is asked for them, in its own account. Empty: each account's `LookupEvents`.",
    )

    trail_minutes: int = Field(
        default=10,
        ge=1,
        le=1440,
        description="How often the trails that `auditkeep trail add` named are read.",
    )

    # --- notices and events, on their way out
    smtp_host: str = Field(
        default="", description="The relay that takes mail for recipients. Empty: no mail is sent."
    )
    smtp_port: int = Field(default=587, ge=1, le=65535, description="The relay's port.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="How the relay is spoken to: STARTTLS, TLS from the first byte, or in clear.",
    )
    smtp_from: str = Field(default="", description="The address that mail comes from.")
    smtp_user: str = Field(default="", description="The user to log in as; needs TLS.")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="That user's password.")
    smtp_password_file: Path | None = Field(
        default=None, description="A file that holds the password instead; read for each mail."
    )
    sns_endpoint_url: str = Field(
        default="", description="Where SNS is asked. Empty: AWS, in the region of the topic's ARN."
    )
    event_bus: str = Field(
        default="",
        description="The ARN of the EventBridge bus that every tenant's events are put on. "
        "Empty: none.",
    )
    event_bus_source: str = Field(
        default="auditkeep",
        min_length=1,
        max_length=256,
        description="The `source` of events on that bus; names beginning with `aws.` are AWS's.",
    )
    events_endpoint_url: str = Field(
        default="", description="Where EventBridge is asked. Empty: AWS, in the bus's region."
    )
    webhook_networks: str = Field(
        default="",
        description="Networks that are not public and that webhooks may lead to all the same, "
        "as `10.1.0.0/16,fd00::/8`; the only ones that are posted to in clear.",
    )
    outgoing_ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) of authorities to trust for mail relay, webhooks, "
        "witnesses and timestamp authority, instead of the system's.",
    )

    # --- who vouches for the log's checkpoints
    witnesses: dict[str, str] = Field(
        default_factory=dict,
        description="Witnesses that are asked to cosign checkpoints, as a JSON object: "
        '`{"KEY": "https://witness.example.org/"}`, with the key as the witness prints it.',
    )
    witness_seconds: int = Field(
        default=60, ge=1, le=86_400, description="How often witnesses are shown a new checkpoint."
    )
    tsa_url: str = Field(
        default="", description="An RFC 3161 authority that timestamps checkpoints. Empty: none."
    )
    tsa_ca_file: Path | None = Field(
        default=None,
        description="The certificates (PEM) that its timestamps must lead up to; needed with it.",
    )
    tsa_minutes: int = Field(
        default=60, ge=1, le=10_080, description="How often a new checkpoint is timestamped."
    )
    anchor_late_hours: int = Field(
        default=24,
        ge=1,
        le=8_760,
        description="Hours that a witness or authority may fail before it is told a second time.",
    )

    checkpoint_mail: tuple[str, ...] = Field(
        default=(),
        description="Addresses that the newest checkpoint is mailed to once a month, as a JSON "
        "list. Needs AUDITKEEP_SMTP_HOST.",
    )

    @model_validator(mode="after")
    def _checkpoints_can_be_mailed(self) -> "Settings":
        if self.checkpoint_mail and not self.smtp_host:
            raise ValueError(_MAIL_WRONG)
        if any("@" not in a or not a.isprintable() or " " in a for a in self.checkpoint_mail):
            raise ValueError(_ADDRESS_WRONG)
        return self

    @field_validator("witnesses")
    @classmethod
    def _witnesses_are_reached(cls, value: dict[str, str]) -> dict[str, str]:
        for url in value.values():
            require_outgoing(url, clear=False)
        return value

    @field_validator(
        "kms_endpoint_url", "sns_endpoint_url", "events_endpoint_url", "aws_sts_endpoint"
    )
    @classmethod
    def _aws_is_reached(cls, value: str) -> str:
        if value:
            require_outgoing(value, clear=False)
        return value

    @field_validator("external_url")
    @classmethod
    def _names_this_server(cls, value: str) -> str:
        if value:
            require_outgoing(value, clear=True)  # how clients come here is not ours to decide
        return value

    @field_validator("tsa_url")
    @classmethod
    def _tsa_is_reached(cls, value: str) -> str:
        if value:
            require_outgoing(value, clear=True)  # what travels is a hash and a signed answer
        return value

    @model_validator(mode="after")
    def _tsa_is_whole(self) -> "Settings":
        if self.tsa_url and self.tsa_ca_file is None:
            raise ValueError(_TSA_WRONG)
        return self

    @field_validator("trusted_proxies", "webhook_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        networks_of(value)
        return value

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return networks_of(self.trusted_proxies)

    @field_validator("collect_regions")
    @classmethod
    def _are_regions(cls, value: str) -> str:
        wrong = [r for r in _names(value) if not _REGION.fullmatch(r)]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is no region, as us-east-1 is one")
        return value

    @property
    def collects(self) -> bool:
        """Whether anybody is asked."""
        return self.collect == "aws"

    @property
    def collect_every(self) -> int:
        """How long a round is, in microseconds."""
        return self.collect_minutes * MINUTE

    @property
    def collect_region_list(self) -> tuple[str, ...]:
        return _names(self.collect_regions)

    @field_validator("event_bus")
    @classmethod
    def _names_a_bus(cls, value: str) -> str:
        if value and not _BUS.fullmatch(value):
            raise ValueError(_BUS_WRONG)
        return value

    @model_validator(mode="after")
    def _mail_is_whole(self) -> "Settings":
        password = bool(self.smtp_password.get_secret_value()) or self.smtp_password_file
        if self.smtp_host and "@" not in self.smtp_from:
            raise ValueError(_FROM_WRONG)
        if bool(self.smtp_user) != bool(password):
            raise ValueError(_LOGIN_WRONG)
        if self.smtp_user and self.smtp_tls == "none":
            raise ValueError(_CLEAR_WRONG)
        return self

    @property
    def replica_regions(self) -> tuple[str, ...]:
        return tuple(r.strip() for r in self.kms_replica_regions.split(",") if r.strip())

    @property
    def webhook_reach(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return networks_of(self.webhook_networks)

    @model_validator(mode="after")
    def _objects_are_reached(self) -> "Settings":
        if self.objects and not _S3.fullmatch(self.objects):
            raise ValueError(_S3_WRONG)
        if self.objects_endpoint_url:
            require_outgoing(self.objects_endpoint_url, clear=False)
        if self.objects_ca_file is not None and not self.objects_endpoint_url:
            raise ValueError(_S3_CA_WRONG)
        return self

    @field_validator("database_url")
    @classmethod
    def _holds_no_password(cls, value: str) -> str:
        if urlsplit(value).password or "password" in parse_qs(urlsplit(value).query):
            raise ValueError(_DATABASE_WRONG)
        return value

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "Settings":
        if bool(self.tls_certificate) != bool(self.tls_private_key):
            raise ValueError(_PAIR_WRONG)
        if self.database_tls != "off" and _is_remote(self.database_url):
            modes = parse_qs(urlsplit(self.database_url).query).get("sslmode", ["verify-full"])
            if modes != ["verify-full"]:
                raise ValueError(_SSLMODE_WRONG)
        return self

    @property
    def database(self) -> str:
        """The database's URL; one on another machine has to prove who it is."""
        url = self.database_url or f"sqlite:///{self.data / 'audit.db'}"
        if self.database_tls == "off" or not _is_remote(url):
            return url
        parts = urlsplit(url)
        query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
        query = {"sslmode": "verify-full", "sslrootcert": "system", **query}
        return urlunsplit(parts._replace(query=urlencode(query)))

    @property
    def keys_dir(self) -> Path:
        return self.keys or self.data / "keys"

    @property
    def objects_dir(self) -> Path:
        return self.data / "objects"


def networks_of(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """CIDR ranges and single addresses between commas; ValueError names one that is neither."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def require_outgoing(url: str, *, clear: bool) -> None:
    """ValueError unless a URL says where and nothing secret; `clear`: plain HTTP will do."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(_URL_WRONG)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and (clear or parts.hostname in _LOOPBACK)
    ):
        raise ValueError(_HTTPS_WRONG)


def _is_remote(url: str) -> bool:
    """Whether a database's URL leads to another machine: not to a file or a socket of this one."""
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgresql"):
        return False
    hosts = [parts.hostname or "", *parse_qs(parts.query).get("host", [])]
    return any(h and not h.startswith("/") and h not in _LOOPBACK for h in hosts)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def load(data: Path) -> Settings:
    """The settings for one data directory; SetupError names each value that is not acceptable."""
    try:
        return Settings(data=data.absolute())
    except ValidationError as error:
        wrong = "; ".join(
            ": ".join([*(f"AUDITKEEP_{str(n).upper()}" for n in e["loc"]), e["msg"]])
            for e in error.errors()
        ).replace("Value error, ", "")
        raise SetupError(f"These settings cannot be used: {wrong}") from error
