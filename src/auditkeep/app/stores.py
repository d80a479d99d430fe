"""Where a deployment's objects lie: a folder of this machine, or a bucket of S3."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from auditkeep.app.places import Places
from auditkeep.clock import Clock, iso
from auditkeep.lake.objects import LocalObjects, ObjectStore
from auditkeep.lake.retention import TWO_YEARS
from auditkeep.lake.s3.copies import Copies
from auditkeep.lake.s3.place import Place
from auditkeep.lake.s3.probe import prove, told
from auditkeep.lake.s3.store import S3Objects
from auditkeep.lake.sweep import purge
from auditkeep.settings import Settings

if TYPE_CHECKING:
    from auditkeep.app.parts import Parts


def store_of(settings: Settings, clock: Clock) -> ObjectStore:
    """The store that the settings name; nothing is asked before it is used."""
    places = Places.of(settings)
    if not settings.objects:
        return LocalObjects(places.objects)
    copies = Copies(places.copies, settings.objects_copies_mb << 20)
    return S3Objects(_place(settings), copies, clock)


def proven(objects: ObjectStore) -> list[str]:
    """What an operator should know of the store before a start; StoreAway if it does not work."""
    if not isinstance(objects, S3Objects):
        return []
    prove(objects)
    return list(told(objects))


def checked(parts: "Parts") -> dict[str, Any]:
    """Proves the store, and tells where it is, what protects it and what it holds back."""
    objects, now = parts.lake.objects, parts.clock.now()
    notes = proven(objects)
    held = [
        {
            "account": tenant.account,
            "region": tenant.region,
            "objects": left.objects,
            "bytes": left.size,
            "until": "" if left.until is None else iso(left.until),
        }
        for tenant in parts.every_tenant()
        if (left := purge(parts.lake, tenant, now)) is not None
    ]
    if not isinstance(objects, S3Objects):
        return {"objects": str(parts.settings.objects_dir), "works": True}
    found = objects.control.protection
    return {
        "objects": objects.place.url,
        "works": True,
        "versioned": found.versioned,
        "objectLock": found.locked,
        "ownRule": found.default,
        "notes": notes,
        "deletedButHeld": held,
    }


def _place(settings: Settings) -> Place:
    url = urlsplit(settings.objects)
    kept = settings.retention_days.get("facts", TWO_YEARS)
    return Place(
        bucket=url.netloc,
        prefix=url.path.strip("/"),
        region=settings.objects_region,
        endpoint=settings.objects_endpoint_url.rstrip("/"),
        kms_key=settings.objects_kms_key,
        lock=settings.objects_lock,
        lock_days=settings.objects_lock_days or kept or TWO_YEARS,
        timeout_seconds=settings.objects_timeout_seconds,
        ca_file=settings.objects_ca_file,
    )
