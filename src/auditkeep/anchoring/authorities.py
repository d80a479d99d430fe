"""Those outside who vouch for checkpoints: witnesses (C2SP tlog-witness), an RFC 3161 authority.

Each is asked for one checkpoint and answers with a proof, or with a sentence that says why not.
What comes back is verified before it is believed: a cosignature under the witness's key, a
timestamp up to a trusted certificate.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.x509 import Certificate

from auditkeep.anchoring.outgoing import Reply, post
from auditkeep.anchoring.store import Anchor, Kind
from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.crypto import timestamps
from auditkeep.errors import DeliveryError, ProofError, SetupError
from auditkeep.settings import Settings
from auditkeep.tlog.cosignature import WitnessKey, cosignatures
from auditkeep.tlog.note import split
from auditkeep.tlog.witness import PATH, SIZE_TYPE, AddCheckpoint

Consistency = Callable[[int], Sequence[bytes]]
"""The path from an older size to the checkpoint in question."""


class Authority(Protocol):
    """Somebody outside who vouches for checkpoints."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def every(self) -> int:
        """Microseconds between two checkpoints that are shown to it."""
        ...

    def vouch(self, note: str, size: int, known: int, consistency: Consistency) -> Anchor:
        """DeliveryError, with a sentence, if it does not.

        `known` is the size it vouched for last, as far as we know.
        """
        ...


@dataclass(frozen=True, slots=True)
class RemoteWitness:
    """A witness at a URL."""

    url: str
    key: WitnessKey
    every: int
    ca_file: Path | None
    approved: bool = False

    kind: Kind = "witness"

    @property
    def name(self) -> str:
        return self.key.name

    def vouch(self, note: str, size: int, known: int, consistency: Consistency) -> Anchor:
        reply = self._ask(note, known, consistency)
        if reply.status == 409 and reply.kind.partition(";")[0].strip() == SIZE_TYPE:
            theirs = _size(reply)
            if theirs > size:
                raise DeliveryError(
                    f"The witness {self.name} has seen this log with {theirs} entries, and it has "
                    f"{size}: it was rolled back. Do not go on before you know why."
                )
            if theirs == known == size:
                raise DeliveryError(
                    f"The witness {self.name} knows another history of {size} entries of this log. "
                    "Do not go on before you know why."
                )
            reply = self._ask(note, theirs, consistency)
        if reply.status != 200:
            raise DeliveryError(self._refusal(reply.status))
        return self._cosigned(note, size, reply.body)

    def _ask(self, note: str, known: int, consistency: Consistency) -> Reply:
        asked = AddCheckpoint(known, consistency(known), note)
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            where = f"{self.url.rstrip('/')}/{PATH}"
            return post(where, asked.encode(), headers, self.ca_file, approved=self.approved)
        except DeliveryError as error:
            raise DeliveryError(f"The witness {self.name} does not answer: {error}.") from error

    def _refusal(self, status: int) -> str:
        told = {
            403: "says that our checkpoint is not signed by the key it was told",
            404: "does not watch this log: hand its operator the log's key (auditkeep log key)",
            409: "knows another state of this log",
            422: "does not find that this checkpoint continues what it has seen. Do not go on "
            "before you know why",
        }
        return f"The witness {self.name} {told.get(status, f'answered {status}')}."

    def _cosigned(self, note: str, size: int, body: bytes) -> Anchor:
        try:
            lines = body.decode()
            found = cosignatures(note + lines, [self.key])
        except (ProofError, UnicodeDecodeError) as error:
            raise DeliveryError(
                f"What the witness {self.name} answered is no cosignature: {error}"
            ) from error
        if not found:
            raise DeliveryError(f"The witness {self.name} signed with another key than its own.")
        own = [line for line in lines.splitlines() if line.startswith(f"— {self.name} ")]
        proof = own[0] + "\n"
        return Anchor(origin_of(note), size, self.name, self.kind, note, proof, found[0].at)


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """An RFC 3161 authority at a URL."""

    url: str
    trusted: tuple[Certificate, ...]
    every: int
    ca_file: Path | None
    approved: bool = False

    kind: Kind = "timestamp"

    @property
    def name(self) -> str:
        return self.url

    def vouch(self, note: str, size: int, known: int, consistency: Consistency) -> Anchor:  # noqa: ARG002  # it remembers nothing
        body = split(note)[0].encode()
        asked = timestamps.query(body)
        headers = {"Content-Type": timestamps.QUERY_TYPE, "Accept": timestamps.REPLY_TYPE}
        try:
            reply = post(self.url, asked.body, headers, self.ca_file, approved=self.approved)
            at = self._checked(reply, body, asked.nonce)
        except (DeliveryError, ProofError) as error:
            said = str(error).rstrip(".")
            raise DeliveryError(f"The timestamp authority {self.url} gave none: {said}.") from error
        proof = base64.b64encode(reply.body).decode()
        return Anchor(origin_of(note), size, self.name, self.kind, note, proof, at)

    def _checked(self, reply: Reply, body: bytes, nonce: int) -> Instant:
        if reply.status != 200:
            raise DeliveryError(f"it answered {reply.status}")
        return timestamps.check(reply.body, body, self.trusted, nonce)


def of_settings(settings: Settings) -> list[Authority]:
    """Every authority that the settings name; SetupError or KeyUnusable if one cannot be asked."""
    approved = settings.crypto == "approved"
    every = settings.witness_seconds * SECOND
    found: list[Authority] = [
        RemoteWitness(url, WitnessKey.parse(vkey), every, settings.outgoing_ca_file, approved)
        for vkey, url in settings.witnesses.items()
    ]
    names = [authority.name for authority in found]
    if len(set(names)) < len(names):
        raise SetupError("AUDITKEEP_WITNESSES names two witnesses alike.")
    if settings.tsa_url:
        if settings.tsa_ca_file is None:
            raise SetupError("AUDITKEEP_TSA_URL needs AUDITKEEP_TSA_CA_FILE.")
        try:
            pem = settings.tsa_ca_file.read_bytes()
        except OSError as error:
            raise SetupError(f"{settings.tsa_ca_file} cannot be read: {error.strerror}.") from error
        trusted = timestamps.certificates(pem, str(settings.tsa_ca_file))
        minutes = settings.tsa_minutes * MINUTE
        found.append(
            TimestampAuthority(
                settings.tsa_url, trusted, minutes, settings.outgoing_ca_file, approved
            )
        )
    return found


def origin_of(note: str) -> str:
    """The log that a checkpoint names."""
    return note.partition("\n")[0]


def _size(reply: Reply) -> int:
    text = reply.body.decode("ascii", errors="replace").strip()
    if not text.isdigit() or len(text) > 19:
        raise DeliveryError("The witness answered with a conflict that names no size.")
    return int(text)
