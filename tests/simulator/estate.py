"""What there is: accounts of an organisation, their regions, and what lay in them when.

Everything is kept with the time from which it held and nothing is ever overwritten, so that the
estate at any instant can be asked for afterwards: by the simulator to answer, by a test to compute
what must have been seen. A *kind* of resource is the operation that lists it (`ec2:DescribeVpcs`),
or a name of this module's own (`config:evaluation`). Global services lie in no region.
"""

import threading
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from auditkeep.clock import Instant, iso

EVERYWHERE = "aws-global"
GLOBAL_SERVICES = frozenset({"iam", "cloudfront", "waf", "organizations", "account", "route53"})

RULE = "config:rule"
EVALUATION = "config:evaluation"
RECORDER = "config:recorder"
FINDING = "securityhub:finding"
HUB = "securityhub:hub"
BUCKET = "s3:ListBuckets"
LICENCE = "license-manager:ListLicenseConfigurations"
USAGE = "license-manager:usage"
ASSOCIATION = "license-manager:association"

BEGINNING = Instant(0)
ROLE = "AuditkeepCollector"

Members = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a resource, from `at` until the next; `members` None says that it was gone."""

    number: int
    at: Instant
    members: Members | None


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it was at some instant."""

    account: str
    region: str
    kind: str
    name: str
    version: int
    at: Instant
    """Since when it was so."""
    members: Members = field(hash=False, compare=False)


@dataclass
class Account:
    """A member of the organisation, and the role that a collector assumes in it."""

    id: str
    name: str
    regions: frozenset[str] | None = None
    """Regions switched on; None for all of the estate's."""
    role: str = ROLE
    external_id: str | None = None
    joined: Instant = BEGINNING
    left: Instant | None = None
    closed: Instant | None = None
    shut: tuple[Instant, Instant] | None = None
    """From when until when its role may not be taken, and who has it may do nothing."""

    def trusts(self, at: Instant) -> bool:
        """Whether its role is there to be taken, by who knows its external id."""
        return self.member(at) and not (self.shut and self.shut[0] <= at < self.shut[1])

    def member(self, at: Instant) -> bool:
        return self.joined <= at and (self.left is None or at < self.left)

    @property
    def role_arn(self) -> str:
        return f"arn:aws:iam::{self.id}:role/{self.role}"


@dataclass(frozen=True, slots=True)
class Event:
    """A management event as CloudTrail would keep it."""

    id: str
    at: Instant
    record: dict[str, Any] = field(hash=False, compare=False)


class Estate:
    """The whole of it; safe between threads."""

    def __init__(
        self, regions: tuple[str, ...] = ("us-east-1", "eu-west-1", "eu-central-1")
    ) -> None:
        self.regions = regions
        self.accounts: dict[str, Account] = {}
        self.management: str | None = None
        """The organisation's management account; the first one unless told."""
        self._kept: dict[tuple[str, str, str], dict[str, list[Version]]] = {}
        self._events: dict[tuple[str, str], list[Event]] = {}
        self._lock = threading.RLock()

    # ---- accounts

    def account(self, number: str, name: str = "", **settings: Any) -> Account:
        """An account, made when it is first named."""
        with self._lock:
            if number not in self.accounts:
                name = name or f"account-{number[-4:]}"
                self.accounts[number] = Account(number, name, **settings)
                self.management = self.management or number
            return self.accounts[number]

    def leave(self, number: str, at: Instant) -> None:
        """The account leaves the organisation, and its role is gone with it."""
        self.accounts[number].left = at

    def opted_in(self, account: str, region: str) -> bool:
        found = self.accounts.get(account)
        if region in {EVERYWHERE, "us-east-1"} or found is None:
            return True
        return region in self.regions and (found.regions is None or region in found.regions)

    # ---- resources

    def put(
        self,
        account: str,
        region: str,
        kind: str,
        name: str,
        at: Instant = BEGINNING,
        **members: Any,
    ) -> None:
        """A resource is made, or becomes another version, at an instant; `members` are those of
        its answer that shall not be a sample's.
        """
        self._add(account, region, kind, name, at, members)

    def remove(self, account: str, region: str, kind: str, name: str, at: Instant) -> None:
        self._add(account, region, kind, name, at, None)

    def _add(
        self, account: str, region: str, kind: str, name: str, at: Instant, members: Members | None
    ) -> None:
        with self._lock:
            self.account(account)
            names = self._kept.setdefault((account, place(kind, region), kind), {})
            versions = names.setdefault(name, [])
            if versions and versions[-1].at >= at:
                raise ValueError(f"{kind} {name} already has a later version than {iso(at)}")
            versions.append(Version(len(versions), at, members))

    def listed(self, account: str, region: str, kind: str, at: Instant) -> list[Resource]:
        """The resources of a kind as they were, by name."""
        region = place(kind, region)
        with self._lock:
            names = self._kept.get((account, region, kind), {})
            found = []
            for name in sorted(names):
                version = _at(names[name], at)
                if version is not None and version.members is not None:
                    found.append(
                        Resource(
                            account, region, kind, name, version.number, version.at, version.members
                        )
                    )
            return found

    def found(
        self, account: str, region: str, kind: str, name: str, at: Instant
    ) -> Resource | None:
        region = place(kind, region)
        with self._lock:
            version = _at(self._kept.get((account, region, kind), {}).get(name, []), at)
        if version is None or version.members is None:
            return None
        return Resource(account, region, kind, name, version.number, version.at, version.members)

    def versions(self, account: str, region: str, kind: str) -> dict[str, list[Version]]:
        """All there ever was of a kind, by name, oldest first."""
        with self._lock:
            names = self._kept.get((account, place(kind, region), kind), {})
            return {name: list(versions) for name, versions in names.items()}

    # ---- what services say of them

    def rule(
        self,
        account: str,
        region: str,
        name: str,
        at: Instant = BEGINNING,
        *,
        identifier: str | None = None,
    ) -> None:
        """A Config rule: AWS's own with an identifier, otherwise a custom one."""
        self.put(account, region, RULE, name, at, identifier=identifier)

    def evaluate(
        self,
        account: str,
        region: str,
        rule: str,
        resource_type: str,
        resource: str,
        compliance: str,
        at: Instant,
    ) -> None:
        """A Config rule judges a resource."""
        self.put(
            account,
            region,
            EVALUATION,
            f"{rule}|{resource_type}|{resource}",
            at,
            rule=rule,
            type=resource_type,
            id=resource,
            compliance=compliance,
        )

    def recorder(self, account: str, region: str, at: Instant, *, on: bool) -> None:
        """The Config recorder is switched; it is on unless told."""
        self.put(account, region, RECORDER, "default", at, on=on)

    def recording(self, account: str, region: str, at: Instant) -> bool:
        found = self.found(account, region, RECORDER, "default", at)
        return found is None or bool(found.members["on"])

    def hub(self, account: str, region: str, at: Instant, *, on: bool) -> None:
        """Security Hub is switched; it is on unless told."""
        self.put(account, region, HUB, "default", at, on=on)

    def hub_on(self, account: str, region: str, at: Instant) -> bool:
        found = self.found(account, region, HUB, "default", at)
        return found is None or bool(found.members["on"])

    def finding(
        self,
        account: str,
        region: str,
        control: str,
        resource: str,
        status: str,
        at: Instant,
        *,
        record_state: str = "ACTIVE",
        workflow: str = "NEW",
        **members: Any,
    ) -> None:
        """Security Hub judges a resource by a control, as a consolidated finding."""
        self.put(
            account,
            region,
            FINDING,
            f"{control}|{resource}",
            at,
            control=control,
            resource=resource,
            status=status,
            record_state=record_state,
            workflow=workflow,
            more=members,
        )

    def event(
        self, account: str, region: str, source: str, name: str, at: Instant, **record: Any
    ) -> Event:
        """Something happens that CloudTrail keeps."""
        with self._lock:
            self.account(account)
            events = self._events.setdefault((account, region), [])
            event_id = str(uuid5(NAMESPACE_URL, f"{account}/{region}/{len(events)}/{name}"))
            actor = f"arn:aws:iam::{account}:user/someone"
            kept = {
                "eventVersion": "1.09",
                "userIdentity": {
                    "type": "IAMUser",
                    "principalId": "AIDAEXAMPLE0000000000",
                    "arn": actor,
                    "accountId": account,
                    "userName": "someone",
                },
                "eventTime": iso(at)[:19] + "Z",
                "eventSource": f"{source}.amazonaws.com",
                "eventName": name,
                "awsRegion": region,
                "sourceIPAddress": "192.0.2.7",
                "userAgent": "simulator",
                "requestParameters": None,
                "responseElements": None,
                "requestID": str(uuid5(NAMESPACE_URL, event_id)),
                "eventID": event_id,
                "readOnly": False,
                "eventType": "AwsApiCall",
                "managementEvent": True,
                "recipientAccountId": account,
                "eventCategory": "Management",
            }
            event = Event(event_id, at, {**kept, **record})
            events.append(event)
            return event

    def events(self, account: str, region: str) -> list[Event]:
        """All that happened, oldest first."""
        with self._lock:
            return sorted(self._events.get((account, region), []), key=lambda e: (e.at, e.id))


def place(kind: str, region: str) -> str:
    """Where a kind of resource lies: no region for a global service."""
    return EVERYWHERE if kind.partition(":")[0] in GLOBAL_SERVICES else region


def _at(versions: list[Version], at: Instant) -> Version | None:
    index = bisect_right(versions, at, key=lambda version: version.at)
    return versions[index - 1] if index else None
