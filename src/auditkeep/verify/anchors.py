"""By when somebody outside had seen what a report's records are in (docs/formats.md, "Anchors").

The archive carries, for its records, the first checkpoints that witnesses cosigned or an authority
timestamped, each with the proof that it is the beginning of the report's own checkpoint. A record
whose entry lies in such a checkpoint existed unchanged by the time the outsider names.

Only those whom the auditor named count. A cosignature of a named witness that does not hold is a
fault; a timestamp that leads to no named certificate is somebody else's, and counts for nothing.
"""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from cryptography.x509 import Certificate

from auditkeep import clock
from auditkeep.clock import Instant
from auditkeep.crypto import timestamps
from auditkeep.errors import ProofError
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.cosignature import WitnessKey, cosignatures
from auditkeep.tlog.merkle import verify_consistency
from auditkeep.tlog.note import Verifier, split
from auditkeep.verify.container import Container
from auditkeep.verify.findings import Findings
from auditkeep.verify.format import ANCHORS, AnchorLine
from auditkeep.verify.record import hex_bytes

_LINE_LIMIT = 1 << 20
LATE = 24 * 60 * clock.MINUTE
"""How long after it was logged a record may be without an anchor before it is called late."""


@dataclass(frozen=True)
class Outsiders:
    """Whom the auditor trusts to have seen checkpoints, and after how long that is late."""

    witnesses: Sequence[WitnessKey] = ()
    authorities: Sequence[Certificate] = ()
    late: int = LATE

    @property
    def anybody(self) -> bool:
        return bool(self.witnesses or self.authorities)


@dataclass
class Tally:
    """How records stand to the anchors that count."""

    covered: int = 0
    late: int = 0
    uncovered: int = 0
    first: Instant | None = None
    last: Instant | None = None
    names: set[str] = field(default_factory=set)


class Anchors:
    """The anchors of one archive, checked once, and asked for each record."""

    def __init__(
        self,
        archive: Container,
        folder: str,
        checkpoint: Checkpoint,
        keys: Sequence[Verifier],
        outsiders: Outsiders,
        found: Findings,
    ) -> None:
        self._outsiders = outsiders
        self._found = found
        self._checkpoint = checkpoint
        self._keys = keys
        self.tally = Tally()
        self.carried = 0
        """Checkpoints that the archive carries as anchors, whoever vouches for them."""
        times: dict[int, Instant] = {}
        name = folder + ANCHORS
        if name in archive:
            for number, text in enumerate(self._lines(archive, name), start=1):
                self._take(f"Line {number} of {name}", text, times)
        self._sizes = sorted(times)
        self._by: list[Instant] = []
        for size in reversed(self._sizes):  # a larger checkpoint may have been seen earlier
            at = times[size]
            self._by.append(at if not self._by else min(at, self._by[-1]))
        self._by.reverse()

    def count(self, index: int, logged_at: str) -> None:
        """A proven record whose batch is the log's entry `index`, committed at `logged_at`."""
        tally = self.tally
        place = bisect_right(self._sizes, index)
        if place == len(self._sizes):
            tally.uncovered += 1
            return
        at = self._by[place]
        tally.covered += 1
        tally.first = at if tally.first is None else min(tally.first, at)
        tally.last = at if tally.last is None else max(tally.last, at)
        try:
            if at - clock.parse(logged_at) > self._outsiders.late:
                tally.late += 1
        except ValueError:
            tally.late += 1  # a time that cannot be read is none to have been in time of

    def conclude(self) -> None:
        """Say what follows for all records together."""
        tally, hours = self.tally, self._outsiders.late // (60 * clock.MINUTE)
        if not self._outsiders.anybody:
            if self.carried:
                self._found.notice(
                    f"The report carries {self.carried} checkpoints that others vouch for. Name "
                    "whom you trust (--witness, --tsa) to have them counted."
                )
            return
        if tally.uncovered:
            self._found.doubt(
                f"{tally.uncovered} records lie in no checkpoint that the witnesses and "
                "authorities you named vouch for: what was changed before this report was made, "
                "none of them could have noticed."
            )
        if tally.late:
            self._found.notice(
                f"{tally.late} records were vouched for more than {hours} hours after they were "
                "logged: what was changed in between, nobody outside could have noticed."
            )

    def _lines(self, archive: Container, name: str) -> list[bytes]:
        try:
            return list(archive.lines(name, _LINE_LIMIT))
        except ProofError as error:
            self._found.problem(f"{name} cannot be read to its end: {error}")
            return []

    def _take(self, where: str, text: bytes, times: dict[int, Instant]) -> None:
        try:
            line = msgspec.json.decode(text, type=AnchorLine)
            anchor = self._opened(line)
            said = self._said(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, ProofError) as error:
            reason = str(error).removesuffix(".")
            self._found.problem(f"{where} anchors nothing: {reason}.")
            return
        self.carried += 1
        if said:
            earliest = min(said)
            times[anchor.size] = min(earliest, times.get(anchor.size, earliest))

    def _opened(self, line: AnchorLine) -> Checkpoint:
        """The checkpoint, shown to be the beginning of the report's own."""
        own, anchor = self._checkpoint, open_checkpoint(line.note, self._keys)
        if anchor.origin != own.origin:
            raise ProofError(f"it is a checkpoint of {anchor.origin}")
        path = [hex_bytes(step) for step in line.path]
        verify_consistency(anchor.size, anchor.root, own.size, own.root, path)
        return anchor

    def _said(self, line: AnchorLine) -> list[Instant]:
        """The times that trusted outsiders name for one checkpoint."""
        said: list[Instant] = []
        for seen in cosignatures(line.note, self._outsiders.witnesses):
            self.tally.names.add(seen.witness.name)
            said.append(seen.at)
        if not self._outsiders.authorities:
            return said
        body = split(line.note)[0].encode()
        for text in line.timestamps:
            try:
                reply = base64.b64decode(text, validate=True)
                said.append(timestamps.check(reply, body, self._outsiders.authorities))
            except binascii.Error as error:
                raise ProofError("a timestamp is not base64") from error
            except ProofError:
                continue  # an authority that the auditor did not name: it counts for nothing
            self.tally.names.add("a timestamp authority")
        return said
