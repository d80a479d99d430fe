"""What a check has found: sentences, at most a page of them, and the verdict they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["valid", "invalid", "cannot-tell"]

MAX_PROBLEMS = 100
"""Sentences shown; a report of a million records that are all wrong is still one page."""


@dataclass(frozen=True)
class Verdict:
    """The answer about one report archive.

    `problems` make it invalid; without any, `doubts` make it "cannot-tell". Names and sizes are
    empty or zero where the archive was too damaged to tell them.
    """

    state: State
    problems: tuple[str, ...]
    doubts: tuple[str, ...]
    origin: str = ""
    log_key: str = ""
    fingerprint: str = ""
    """SHA-256 of the log's public key in groups, to compare over the telephone."""
    log_size: int = 0
    report_key_fingerprint: str = ""
    report_name: str = ""
    account: str = ""
    region: str = ""
    signed_at: str = ""
    files: int = 0
    bytes: int = 0
    records: int = 0
    batches: int = 0
    attachments: int = 0
    notices: tuple[str, ...] = ()
    """No faults, but to be read."""
    anchored: int = 0
    """Records in a checkpoint that an outsider whom the auditor named vouches for."""
    anchored_late: int = 0
    anchored_by: str = ""
    """By when all of those were vouched for."""
    vouched: tuple[str, ...] = ()
    completeness: Mapping[str, Any] = field(default_factory=dict)
    """What the report says of its completeness, where that is borne out; see `completeness`."""

    def summary(self) -> dict[str, Any]:
        """The verdict as a JSON object for people and scripts; empty members are left out."""
        body: dict[str, Any] = {
            "state": self.state,
            "problems": list(self.problems),
            "doubts": list(self.doubts),
            "report": self.report_name,
            "account": self.account,
            "region": self.region,
            "signedAt": self.signed_at,
            "log": self.origin,
            "logEntries": self.log_size,
            "logKey": self.log_key,
            "logKeyFingerprint": self.fingerprint,
            "reportKeyFingerprint": self.report_key_fingerprint,
            "files": self.files,
            "bytes": self.bytes,
            "records": self.records,
            "batches": self.batches,
            "attachments": self.attachments,
        }
        if self.completeness:
            body["completeness"] = dict(self.completeness)
        if self.notices:
            body["notices"] = list(self.notices)
        if self.vouched:
            body |= {
                "vouchedForBy": list(self.vouched),
                "anchored": self.anchored,
                "anchoredLate": self.anchored_late,
                "anchoredBy": self.anchored_by,
            }
        return {name: value for name, value in body.items() if value != ""}


class Findings:
    """Collects problems and doubts while a check goes on to find what else is wrong."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._more = 0
        self._doubts: list[str] = []
        self._notices: list[str] = []

    def problem(self, sentence: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(sentence)
        else:
            self._more += 1

    def doubt(self, sentence: str) -> None:
        self._doubts.append(sentence)

    def notice(self, sentence: str) -> None:
        self._notices.append(sentence)

    @property
    def notices(self) -> tuple[str, ...]:
        return tuple(self._notices)

    @property
    def problems(self) -> tuple[str, ...]:
        more = (f"… and {self._more} more problems.",) if self._more else ()
        return (*self._problems, *more)

    @property
    def doubts(self) -> tuple[str, ...]:
        return tuple(self._doubts)

    @property
    def state(self) -> State:
        if self._problems:
            return "invalid"
        return "cannot-tell" if self._doubts else "valid"
