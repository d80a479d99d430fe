"""Delivering notices and events: what each kind of job does, and the pumps that run them.

At least once: a job whose runner died after sending is sent again, with the same id. Each channel
has threads of its own and bounds its time, so a slow one holds no other. Within a channel, what
goes to one party of one tenant is a lane (see `work.jobs`): one delivery at a time, and while that
party is down only one of them tries. A delivery is tried for a day, then marked failed, to be seen
and tried again with `auditkeep notify failures`.

What a job finds gone (a topic that was cleared, a webhook or address that was deleted) ends it:
somebody asked for that. A channel missing from the settings does not: that may be a mistake.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from auditkeep.accounts import store as accounts
from auditkeep.clock import DAY, MINUTE, SECOND, Clock
from auditkeep.db.database import Database
from auditkeep.errors import ChannelDown, DeliveryRefused
from auditkeep.ids import Tenant
from auditkeep.notifications import addresses, outgoing, store, webhooks
from auditkeep.notifications.model import BUS, MAIL, SNS, WEBHOOK, Event, Message, Telling
from auditkeep.notifications.senders import mail, signing, webhook
from auditkeep.notifications.senders.aws import Aws
from auditkeep.notifications.senders.mail import Relay
from auditkeep.notifications.senders.webhook import Reach
from auditkeep.notifications.webhooks import Webhook
from auditkeep.settings import Settings
from auditkeep.work.jobs import Jobs
from auditkeep.work.pump import Handler, Pump
from auditkeep.work.retry import Retry

FOR_A_DAY = Retry(
    tries=400,
    within=DAY,
    first=2 * SECOND,
    longest=10 * MINUTE,
    spread=0.5,
    final=(DeliveryRefused,),
    lane=(ChannelDown,),
)
"""The rule of spec 8.2: a day. The number of tries bounds only what kills its process."""

THREADS: Mapping[str, int] = {MAIL: 1, SNS: 2, WEBHOOK: 4, BUS: 1}
_LAST_RUN_SECONDS = 12.0
"""What a stop waits for: longer than any one delivery should take, and it is durable anyway."""


@dataclass(frozen=True, slots=True)
class Post:
    """The parts that delivering takes."""

    db: Database
    settings: Settings
    clock: Clock
    aws: Aws = field(repr=False)

    @classmethod
    def of(cls, db: Database, settings: Settings, clock: Clock) -> "Post":
        endpoints = {"sns": settings.sns_endpoint_url, "events": settings.events_endpoint_url}
        return cls(db, settings, clock, Aws(endpoints))

    def handlers(self) -> dict[str, Handler]:
        """How the pumps run the jobs of each channel."""
        runs: dict[str, Callable[[Tenant, str], None]] = {
            MAIL: self.send_mail,
            SNS: self.publish,
            WEBHOOK: self.post,
            BUS: self.put_event,
        }
        return {kind: Handler(run, retry=FOR_A_DAY) for kind, run in runs.items()}

    def send_mail(self, tenant: Tenant, notice_id: str) -> None:
        """One notice to its recipient, if the address book knows one."""
        with self.db.read(tenant) as tx:
            notice = store.find(tx, notice_id)
            address = None if notice is None else addresses.find(tx, notice.recipient)
        if notice is None or address is None:
            return
        relay = relay_of(self.settings)
        mail.send(relay, mail.compose(notice, relay.sender, address), address)

    def publish(self, tenant: Tenant, message_id: str) -> None:
        """One notice to the topic that the tenant has now."""
        with self.db.read(tenant) as tx:
            telling = outgoing.find(tx, message_id)
            account = accounts.find(tx)
        topic = None if account is None else account.settings.sns_topic
        if isinstance(telling, Telling) and topic:
            self.aws.publish(topic, telling)

    def post(self, tenant: Tenant, key: str) -> None:
        """One message to one webhook."""
        message_id, _, name = key.partition("/")
        with self.db.read(tenant) as tx:
            message = outgoing.find(tx, message_id)
            hook = webhooks.find(tx, name)
        if message is not None and hook is not None:
            self.post_to(hook, message.id, _body(message))

    def post_to(self, hook: Webhook, message_id: str, body: bytes) -> int:
        """Post signed bytes to a webhook; the status of its answer."""
        headers = signing.headers(hook.secret, message_id, body, self.clock.now())
        reach = Reach(
            self.settings.webhook_reach,
            self.settings.outgoing_ca_file,
            self.settings.crypto == "approved",
        )
        return webhook.post(hook.url, body, headers, reach)

    def put_event(self, tenant: Tenant, message_id: str) -> None:
        """One event to the deployment's bus."""
        if not self.settings.event_bus:
            raise ChannelDown("No event bus is set any more: set AUDITKEEP_EVENT_BUS again.")
        with self.db.read(tenant) as tx:
            event = outgoing.find(tx, message_id)
        if isinstance(event, Event):
            self.aws.put_event(self.settings.event_bus, event, self.settings.event_bus_source)


def relay_of(settings: Settings) -> Relay:
    """The relay that the settings name; ChannelDown if there is none, or no password for it."""
    if not settings.smtp_host:
        raise ChannelDown("No mail relay is set any more: set AUDITKEEP_SMTP_HOST again.")
    return Relay(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        sender=settings.smtp_from,
        user=settings.smtp_user,
        password=_password(settings),
        ca_file=settings.outgoing_ca_file,
        approved=settings.crypto == "approved",
    )


def _password(settings: Settings) -> str:
    file = settings.smtp_password_file
    if file is None:
        return settings.smtp_password.get_secret_value()
    try:
        return file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ChannelDown(f"The mail relay's password cannot be read from {file}.") from error


class Delivery:
    """The pumps of all channels, run inside `serve`."""

    def __init__(self, post: Post, jobs: Jobs) -> None:
        self._pumps = [
            Pump(jobs, {kind: handler}, post.clock, threads=THREADS[kind], name=kind)
            for kind, handler in post.handlers().items()
        ]

    def start(self) -> None:
        for pump in self._pumps:
            pump.start()

    def stop(self) -> bool:
        """Begin nothing more, and let what was begun end; False when something still ran."""
        for pump in self._pumps:
            pump.stop(0)
        ended = [pump.stop(_LAST_RUN_SECONDS) for pump in self._pumps]
        return all(ended)


def _body(message: Message) -> bytes:
    if isinstance(message, Telling):
        return msgspec.json.encode(message.body())
    return msgspec.json.encode(message.envelope())
