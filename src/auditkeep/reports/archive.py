"""The zip of a report, written as a stream: nothing is held but the chunk under way.

Every file goes in through `add`, which hashes it for the digest, so that the digest lists exactly
what the zip holds. Names, order, dates and modes follow from the report alone. Members carry their
sizes behind them (.ZIP File Format Specification 6.3.10, section 4.3.9), with zip64 where a file
may pass 4 GiB.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator

from auditkeep.clock import Instant, to_datetime
from auditkeep.verify.format import ListedFile

_CHUNK = 1 << 18
_READABLE = 0o100644 << 16
_UNIX = 3


class Archive:
    """Yields the zip's bytes while files are added; `files` lists them for the digest."""

    def __init__(self, made: Instant) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)
        self._date = to_datetime(made).timetuple()[:6]
        self.files: list[ListedFile] = []

    def add(
        self, name: str, data: bytes | Iterable[bytes], *, listed: bool = True
    ) -> Iterator[bytes]:
        """One file, whole or in parts; what of the zip is ready by then."""
        whole = isinstance(data, bytes)
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = _READABLE
        info.create_system = _UNIX
        state = hashlib.sha256()
        size = 0
        with self._zip.open(info, "w", force_zip64=not whole) as member:
            for part in (data,) if isinstance(data, bytes) else data:
                state.update(part)
                size += len(part)
                member.write(part)
                if self._sink.size >= _CHUNK:
                    yield self._sink.take()
        if listed:
            self.files.append(ListedFile(name, state.hexdigest(), size))
        if self._sink.size >= _CHUNK:
            yield self._sink.take()

    def end(self) -> Iterator[bytes]:
        """What is left, and the zip's directory."""
        self._zip.close()
        yield self._sink.take()


class _Sink:
    """Where zipfile writes: it can neither seek nor tell, so that members are streamed."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits here for longer than the next `take`."""

    def close(self) -> None:
        """The zip's end is not the sink's: `take` still gives what is left."""

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return taken
