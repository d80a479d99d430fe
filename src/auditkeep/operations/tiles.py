"""The log's public files over HTTP, read-only, for whoever shows an auditor's token.

    GET /log/checkpoint             the newest signed checkpoint
    GET /log/tile/<L>/<N>[.p/<W>]   hashes
    GET /log/tile/entries/<N>[…]    entries

Source: C2SP tlog-tiles; `/log` is the log's monitoring prefix. The token travels in the
`Authorization` header (RFC 6750 section 2.1) and nowhere else: an address with a query is refused,
for addresses end up in other people's logs.

Invariants: nothing is served that the published checkpoint does not cover, so that what a client
keeps for ever is what was signed; a partial tile that its full one has replaced is cut from that,
so that a reader is not thrown out by a log that grows meanwhile; no tenant's data is reachable.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from auditkeep.errors import InvalidRequest, LogError, MethodNotAllowed, NotFound, ObjectMissing
from auditkeep.lake import published
from auditkeep.lake.objects import ObjectStore
from auditkeep.tlog.merkle import HASH_SIZE
from auditkeep.tlog.tiles import HEIGHT, WIDTH, bundle, entries_path, tile_path, unbundle
from auditkeep.wire.errors import to_response
from auditkeep.wire.messages import Request, Response

PREFIX = b"/log/"
REALM = "auditkeep log"

_TILE = re.compile(
    r"tile/(?P<level>entries|[0-7])/(?P<number>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)
_NEVER_CHANGES = b"private, max-age=31536000, immutable"
"""For a tile's holder alone: a shared cache would hand it to whoever shows no token."""
_OFTEN = b"private, no-cache"
_TEXT = b"text/plain; charset=utf-8"
_BYTES = b"application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Tile:
    """What a path names; `level` None for entries."""

    level: int | None
    index: int
    width: int

    @classmethod
    def parse(cls, path: str) -> "_Tile":
        match = _TILE.fullmatch(path)
        if match is None:
            raise NotFound("file of the log", path)
        level = None if match["level"] == "entries" else int(match["level"])
        index = int(match["number"].replace("/", "").replace("x", ""))
        tile = cls(level, index, int(match["width"] or WIDTH))
        if tile.width > WIDTH or tile.path() != path:  # one name for each tile
            raise NotFound("file of the log", path)
        return tile

    def path(self, *, whole: bool = False) -> str:
        width = WIDTH if whole else self.width
        if self.level is None:
            return entries_path(self.index, width)
        return tile_path(self.level, self.index, width)

    def is_covered(self, size: int) -> bool:
        row = size >> (HEIGHT * (self.level or 0))
        return self.index * WIDTH + self.width <= row

    def cut(self, data: bytes) -> bytes:
        """The beginning of a whole tile, as wide as this one."""
        if self.level is None:
            return bundle(unbundle(data)[: self.width])
        return data[: self.width * HASH_SIZE]


class Tiles:
    """Answers requests below `/log/`. Safe to share between threads."""

    def __init__(self, objects: ObjectStore, admits: Callable[[str], bool]) -> None:
        self._objects = objects
        self._admits = admits

    def answer(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except (InvalidRequest, MethodNotAllowed, NotFound) as error:
            return to_response(error, request.request_id)

    def _answer(self, request: Request) -> Response:
        if request.query:
            raise InvalidRequest(
                "The log's files are asked for without a query. A token belongs in the header "
                "'Authorization: Bearer …', never in an address."
            )
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("The log's files can only be read.", ("GET", "HEAD"))
        refused = self._refused(request)
        if refused is not None:
            return refused
        path = request.path.removeprefix(PREFIX).decode("latin-1")
        return self._checkpoint() if path == "checkpoint" else self._tile(_Tile.parse(path))

    def _refused(self, request: Request) -> Response | None:
        given = list(request.values(b"authorization"))
        if not given:
            return _unauthorised("Show an auditor's token: Authorization: Bearer aklog_…", "")
        scheme, _, token = given[0].decode("latin-1").partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer" or not self._admits(token.strip()):
            return _unauthorised(
                "This token is not known, or it was revoked, or its time is over.",
                ', error="invalid_token"',
            )
        return None

    def _checkpoint(self) -> Response:
        try:
            body = self._objects.get(published.NAME)
        except ObjectMissing as error:
            raise NotFound("file of the log", "checkpoint") from error
        return _file(body, _TEXT, _OFTEN)

    def _tile(self, tile: _Tile) -> Response:
        checkpoint = published.read(self._objects)
        if checkpoint is None or not tile.is_covered(checkpoint.size):
            raise NotFound("file of the log", tile.path())
        return _file(self._content(tile), _BYTES, _NEVER_CHANGES)

    def _content(self, tile: _Tile) -> bytes:
        try:
            return self._objects.get(f"{published.FOLDER}{tile.path()}")
        except ObjectMissing:
            pass
        try:
            return tile.cut(self._objects.get(f"{published.FOLDER}{tile.path(whole=True)}"))
        except (ObjectMissing, LogError) as error:
            raise NotFound("file of the log", tile.path()) from error


def _file(body: bytes, kind: bytes, cache: bytes) -> Response:
    return Response(
        200,
        body,
        (
            (b"content-type", kind),
            (b"cache-control", cache),
            (b"vary", b"authorization"),
            (b"x-content-type-options", b"nosniff"),
        ),
    )


def _unauthorised(message: str, detail: str) -> Response:
    return Response(
        401,
        f"{message}\n".encode(),
        (
            (b"content-type", _TEXT),
            (b"www-authenticate", f'Bearer realm="{REALM}"{detail}'.encode()),
            (b"cache-control", b"no-store"),
        ),
    )
