"""What a share request offers, and what accepting it makes (spec sections 2.6 and 8.3). Pure.

The copy belongs to the recipient entirely: new ids for the framework, its custom controls and
their sources, the accepting person as creator, no tags. Shipped controls are the same for every
tenant and stay referred to.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from auditkeep.clock import Instant
from auditkeep.frameworks.model import Control, ControlSet, Framework
from auditkeep.frameworks.sharing_model import Snapshot, Subject
from auditkeep.ids import new_id


def taken(framework: Framework, controls: Mapping[str, Control]) -> Snapshot:
    """A framework as it is now, with the custom ones among its controls, which are given by id."""
    own = (controls[i] for i in sorted(framework.control_ids()))
    return Snapshot(framework=framework, controls=tuple(c for c in own if c.type == "Custom"))


def described(snapshot: Snapshot) -> Subject:
    """Each control counts once, in however many sets it is."""
    framework, custom = snapshot.framework, len(snapshot.controls)
    return Subject(
        name=framework.name,
        description=framework.description,
        compliance_type=framework.compliance_type,
        standard_controls=len(framework.control_ids()) - custom,
        custom_controls=custom,
    )


def copied(snapshot: Snapshot, person: str, now: Instant) -> tuple[Framework, list[Control]]:
    """The framework and the custom controls that accepting adds to the recipient's library."""
    ids = {c.id: new_id() for c in snapshot.controls}
    controls = [
        replace(
            c,
            id=ids[c.id],
            sources=tuple(replace(s, id=new_id()) for s in c.sources),
            created_at=now,
            updated_at=now,
            created_by=person,
            updated_by=person,
        )
        for c in snapshot.controls
    ]
    framework = replace(
        snapshot.framework,
        id=new_id(),
        sets=tuple(_with_ids(s, ids) for s in snapshot.framework.sets),
        created_at=now,
        updated_at=now,
        created_by=person,
        updated_by=person,
    )
    return framework, controls


def _with_ids(one: ControlSet, ids: Mapping[str, str]) -> ControlSet:
    return replace(one, control_ids=tuple(ids.get(i, i) for i in one.control_ids))
