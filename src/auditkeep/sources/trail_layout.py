"""How CloudTrail lays out a trail's bucket: folders by account, region and day; names with a time.

Source: AWS CloudTrail user guide, "Finding your log files" and "Digest file location". An
organisation's trail has the organisation's id as one more folder. Pure: keys in, keys out. A key
that is not laid out so is nobody's: `read_key` says None and never guesses.
"""

import calendar
import re
from dataclasses import dataclass
from typing import Literal

from auditkeep.clock import DAY, Day, Instant, day_name, parse

Kind = Literal["CloudTrail", "CloudTrail-Digest"]
LOGS: Kind = "CloudTrail"
DIGESTS: Kind = "CloudTrail-Digest"

ROOT = "AWSLogs/"

_KEY = re.compile(
    r"(?P<prefix>(?:.*/)?)AWSLogs/(?:(?P<organisation>o-[a-z0-9]{4,32})/)?(?P<account>\d{12})/"
    r"(?P<kind>CloudTrail|CloudTrail-Digest)/(?P<region>[a-z]{2}[a-z0-9-]{3,30})/"
    r"(?P<day>\d{4}/\d{2}/\d{2})/(?P<name>[^/]+\.json(?:\.gz)?)"
)
_LOG = re.compile(r"\d{12}_CloudTrail_[a-z0-9-]+_(?P<at>\d{8}T\d{4})Z_[A-Za-z0-9]+\.json(?:\.gz)?")
_DIGEST = re.compile(
    r"\d{12}_CloudTrail-Digest_[a-z0-9-]+?_(?P<trail>.+)_(?P<home>[a-z]{2}[a-z0-9-]{3,30})"
    r"_(?P<at>\d{8}T\d{6})Z(?P<backfill>_backfill)?\.json\.gz"
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One account and region of a trail. `prefix` is "" or ends with a slash."""

    prefix: str
    organisation: str
    account: str
    region: str

    def folder(self, kind: Kind) -> str:
        owner = f"{self.organisation}/" if self.organisation else ""
        return f"{self.prefix}{ROOT}{owner}{self.account}/{kind}/{self.region}/"

    def day_folder(self, kind: Kind, day: Day) -> str:
        return f"{self.folder(kind)}{day_name(day).replace('-', '/')}/"


@dataclass(frozen=True, slots=True)
class Key:
    """What an object's key says. `at` is the time in its name: of delivery, for a log file, and
    the end of the time covered, for a digest; `trail` and `home` name the trail of a digest.
    """

    key: str
    kind: Kind
    place: Place
    at: Instant
    trail: str = ""
    home: str = ""
    backfill: bool = False

    @property
    def name(self) -> str:
        return self.key.rsplit("/", 1)[-1]

    @property
    def chain(self) -> str:
        """Which digests of its place follow one another: those of one trail, backfill apart."""
        return f"{self.trail}/{self.home}{'/backfill' if self.backfill else ''}"


def read_key(key: str) -> Key | None:
    """A log file's or digest's key; None for any other object."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    place = Place(found["prefix"], found["organisation"] or "", found["account"], found["region"])
    named = (_LOG if found["kind"] == LOGS else _DIGEST).fullmatch(found["name"])
    if named is None:
        return None
    try:
        at = parse(f"{named['at']}Z")
    except ValueError:
        return None
    if found["kind"] == LOGS:
        return Key(key, LOGS, place, at)
    return Key(
        key, DIGESTS, place, at, named["trail"], named["home"], backfill=bool(named["backfill"])
    )


@dataclass(frozen=True, slots=True)
class Aim:
    """What a path into a trail's bucket points at: "" and all time where it does not say."""

    prefix: str
    account: str
    region: str
    start: Instant
    end: Instant


_AIM = re.compile(
    r"(?P<prefix>(?:.*/)?)AWSLogs(?:/o-[a-z0-9]{4,32})?(?:/(?P<account>\d{12})(?:/CloudTrail(?:-Digest)?"
    r"(?:/(?P<region>[a-z]{2}[a-z0-9-]{3,30})(?:/(?P<day>\d{4}(?:/\d{2}(?:/\d{2})?)?))?)?)?)?/?"
)
_ALWAYS = (Instant(0), Instant(1 << 52))


def aimed(path: str) -> Aim | None:
    """What a path points at that leads into a trail's folders; None for any other."""
    found = _AIM.fullmatch(path)
    if found is None:
        return None
    start, end = _ALWAYS
    if found["day"]:
        said = found["day"].split("/")
        first, last = (said + rest[len(said) - 1 :] for rest in (["01", "01"], ["12", "31"]))
        try:
            start = parse("-".join(first))
            end = _end_of(last)
        except ValueError:
            return None
    return Aim(found["prefix"], found["account"] or "", found["region"] or "", start, end)


def _end_of(day: list[str]) -> Instant:
    """The last microsecond of a day, or of the month whose 31st may be none."""
    year, month, number = (int(part) for part in day)
    most = calendar.monthrange(year, month)[1]
    return Instant(parse(f"{year:04}-{month:02}-{min(number, most):02}") + DAY - 1)


def owner_prefix(prefix: str) -> str:
    """A prefix as people write it, as keys have it: "" or with one slash at its end."""
    clean = prefix.strip("/")
    return f"{clean}/" if clean else ""
