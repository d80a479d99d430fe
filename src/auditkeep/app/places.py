"""Which file of the data and key directories is what."""

from dataclasses import dataclass
from pathlib import Path

from auditkeep.settings import Settings


@dataclass(frozen=True, slots=True)
class Places:
    """Paths that follow from the settings; nothing is made by asking."""

    master_key: Path
    log_key: Path
    next_log_key: Path
    report_key: Path
    next_report_key: Path
    bucket_keys: Path
    own_keys: Path
    escrow: Path
    objects: Path
    copies: Path
    serve_lock: Path
    compact_lock: Path

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        keys = settings.keys_dir
        return cls(
            master_key=keys / "master.key",
            log_key=keys / "log.key",
            next_log_key=keys / "log.key.next",
            report_key=keys / "report.key",
            next_report_key=keys / "report.key.next",
            bucket_keys=keys / "buckets",
            own_keys=keys / "own",
            escrow=keys / "escrow.json",
            objects=settings.objects_dir,
            copies=settings.data / "copies",
            serve_lock=settings.data / "serve.lock",
            compact_lock=settings.data / "compact.lock",
        )
