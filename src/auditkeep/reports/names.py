"""Names inside a report's archive (spec section 5.3): safe everywhere, short, and never twice.

Every component is ASCII letters, digits and `._-`, at most 60 characters, and no name that Windows
refuses, so that an archive unpacks on any machine below the 259 characters of a Windows path.
Names come from people and sources: whatever they hold, they cannot leave their folder.
"""

import re
import unicodedata

from auditkeep.clock import Instant, to_datetime

LONGEST = 60
_EVENT_LENGTH = 20
_ID_LENGTH = 12
_MANUAL_STEM = 10
_EXTENSION_LENGTH = 10

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10)}
)

SOURCE_FOLDERS = {
    "AWS_Cloudtrail": "CloudTrail",
    "AWS_Config": "Config",
    "AWS_Security_Hub": "Security-Hub",
    "AWS_API_Call": "API-calls",
    "SCANNER": "Scanners",
    "MANUAL": "Manual",
    "RUN": "Runs",
    "ACTIVITY": "Activity",
}


def component(text: str, suffix: str = "", longest: int = LONGEST) -> str:
    """`text` as one path component, ending in `-suffix` where one is given."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    safe = _UNSAFE.sub("-", plain)
    safe = re.sub(r"-{2,}", "-", safe).strip(".-_")
    tail = f"-{suffix}" if suffix else ""
    safe = safe[: longest - len(tail)].rstrip(".-_") or "unnamed"
    if safe.split(".")[0].lower() in _DEVICES:
        safe = f"_{safe}"[: longest - len(tail)]
    return safe + tail


def assessment_folder(name: str, assessment_id: str) -> str:
    """`<assessmentName>-<8 hex>`."""
    return component(name, _hex(assessment_id)[:8])


def report_folder(name: str, report_id: str) -> str:
    """`<reportName>-<14 hex>`: also the archive's own name, with `.zip`."""
    return component(name, _hex(report_id)[:14])


def control_folder(name: str, control_id: str) -> str:
    """`<controlName>-<13 hex>`."""
    return component(name, _hex(control_id)[:13])


def evidence_file(
    at: Instant, service: str, event_name: str, account: str, evidence_id: str
) -> str:
    """`HH-MM-SS_IAM_CreateUser_111122223333_a1b2c3d4e5f6.json`."""
    parts = (
        _time(at),
        _word(service, _EVENT_LENGTH),
        _word(event_name, _EVENT_LENGTH),
        _word(account, _ID_LENGTH),
        _hex(evidence_id)[-_ID_LENGTH:],
    )
    return "_".join(parts) + ".json"


def manual_record(at: Instant, account: str, evidence_id: str) -> str:
    """`HH-MM-SS_manual_111122223333_a1b2c3d4e5f6.json`: what was said or uploaded, and by whom."""
    return f"{_manual_stem(at, account, evidence_id)}.json"


def manual_file(at: Instant, account: str, evidence_id: str, file_name: str) -> str:
    """`HH-MM-SS_manual_111122223333_a1b2c3d4e5f6_policy.pdf`: the copy of an uploaded file."""
    stem, dot, extension = file_name.rpartition(".")
    if not dot:
        stem, extension = file_name, ""
    ending = f".{_word(extension, _EXTENSION_LENGTH)}" if extension else ""
    base = f"{_manual_stem(at, account, evidence_id)}_{_word(stem, _MANUAL_STEM)}"
    # A record and its file must differ even where the file is JSON too.
    return f"{base}{ending}"


def volume_file(control: str, number: int) -> str:
    """`volumes/<controlName>-<13 hex>-01.pdf`, inside the report's folder.

    `control` is the control's own folder, of whose name the id is kept and the rest cut.
    """
    name, _, ending = control.rpartition("-")
    return f"volumes/{component(name, f'{ending}-{number:02}', LONGEST - 4)}.pdf"


class Taken:
    """Names given in one folder: a second asker gets `name-2.ext`, whatever the letter case."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def give(self, name: str) -> str:
        stem, dot, extension = name.rpartition(".")
        if not dot or "/" in extension:
            stem, extension = name, ""
        given, number = name, 1
        while given.lower() in self._seen:
            number += 1
            given = f"{stem[: LONGEST * 2 - 4]}-{number}{dot}{extension}"
        self._seen.add(given.lower())
        return given


def _manual_stem(at: Instant, account: str, evidence_id: str) -> str:
    return f"{_time(at)}_manual_{_word(account, 12)}_{_hex(evidence_id)[-_ID_LENGTH:]}"


def _time(at: Instant) -> str:
    return to_datetime(at).strftime("%H-%M-%S")


def _word(text: str, longest: int) -> str:
    """A part between underscores: it may hold none itself."""
    return component(text.replace("_", "-"), longest=longest)


def _hex(uuid: str) -> str:
    return component(uuid.replace("-", ""), longest=32).lower()
