"""The proofs of a report: gathered while evidence is written, proven batch by batch at the end.

One line a record, in the order of the evidence; each batch is proven for all its records of a
window at once, so that its leaves are read seldom and memory does not grow with the report. The
shapes of the lines are `verify.format`'s.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self

import msgspec

from auditkeep.reports.spool import Spool
from auditkeep.verify.format import Attachment, BatchLine, RecordLine, canonical

WINDOW = 20_000
"""Records proven together; their paths are some 20 MB."""


@dataclass(frozen=True, slots=True)
class Proven:
    """One batch in the log, and the paths of some of its records to its root."""

    record: str
    salt: bytes
    index: int
    inclusion: Sequence[bytes]
    paths: Mapping[int, Sequence[bytes]]


Prove = Callable[[int, Sequence[int]], Proven]
"""Prove a batch, by number, and the records at these places in it."""


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """A record that was written and is still to be proven."""

    evidence_id: str
    file: str
    batch_no: int
    index: int
    nonce: bytes
    envelope: bytes
    attachment: Attachment | None = None


class Proofs:
    """Records in order, and the batches they come from once `records` was read to its end."""

    def __init__(self, prove: Prove) -> None:
        self._prove = prove
        self._spool = Spool()
        self._batches: dict[int, BatchLine] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._spool.__exit__(*error)

    @property
    def count(self) -> int:
        return self._spool.count

    def add(self, pending: Pending) -> None:
        self._spool.append(msgspec.msgpack.encode(pending))

    def records(self) -> Iterator[bytes]:
        """records.jsonl, line by line."""
        decoder = msgspec.msgpack.Decoder(Pending)
        waiting = map(decoder.decode, self._spool)
        while window := list(islice(waiting, WINDOW)):
            paths = self._paths(window)
            for one in window:
                line = RecordLine(
                    evidence_id=one.evidence_id,
                    file=one.file,
                    batch_no=one.batch_no,
                    index=one.index,
                    nonce=one.nonce.hex(),
                    envelope=one.envelope.decode(),
                    path=tuple(h.hex() for h in paths[one.batch_no][one.index]),
                    attachment=one.attachment,
                )
                yield canonical(line) + b"\n"

    def batches(self) -> Iterator[bytes]:
        """batches.jsonl, line by line, in the order of commits."""
        for number in sorted(self._batches):
            yield canonical(self._batches[number]) + b"\n"

    @property
    def entries(self) -> list[int]:
        """The places in the log of all batches that were proven, ascending."""
        return sorted(line.index for line in self._batches.values())

    def _paths(self, window: Sequence[Pending]) -> dict[int, Mapping[int, Sequence[bytes]]]:
        wanted: dict[int, set[int]] = defaultdict(set)
        for one in window:
            wanted[one.batch_no].add(one.index)
        found: dict[int, Mapping[int, Sequence[bytes]]] = {}
        for number, indexes in sorted(wanted.items()):
            proven = self._prove(number, sorted(indexes))
            found[number] = proven.paths
            self._batches[number] = BatchLine(
                batch_no=number,
                record=proven.record,
                salt=proven.salt.hex(),
                index=proven.index,
                inclusion=tuple(h.hex() for h in proven.inclusion),
            )
        return found
