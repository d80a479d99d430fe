"""What a share request offers, and the copy that accepting it makes."""

from collections.abc import Mapping

from auditkeep.clock import Instant
from auditkeep.frameworks import sharing_snapshot
from auditkeep.frameworks.model import Control, ControlSet, ControlType, Framework, MappingSource
from auditkeep.ids import new_id

THEN = Instant(1_700_000_000_000_000)
NOW = Instant(1_800_000_000_000_000)


def control(name: str, kind: ControlType = "Custom") -> Control:
    source = MappingSource(
        id=new_id(), type="MANUAL", set_up_option="Procedural_Controls_Mapping", name=name
    )
    return Control(
        id=new_id(),
        name=name,
        type=kind,
        sources=(source,),
        created_at=THEN,
        updated_at=THEN,
        created_by="alice",
        updated_by="alice",
        description=name,
    )


def framework(**sets: tuple[Control, ...]) -> tuple[Framework, Mapping[str, Control]]:
    made = Framework(
        id=new_id(),
        name="f",
        type="Custom",
        description="d",
        compliance_type="X",
        sets=tuple(
            ControlSet(id=n, name=f"{n}, renamed", control_ids=tuple(c.id for c in cs))
            for n, cs in sets.items()
        ),
        created_at=THEN,
        updated_at=THEN,
        created_by="alice",
        updated_by="alice",
    )
    return made, {c.id: c for cs in sets.values() for c in cs}


def test_a_snapshot_holds_custom_controls_once_and_counts_them() -> None:
    own, shipped, core = control("own"), control("std", "Standard"), control("core", "Core")
    snapshot = sharing_snapshot.taken(*framework(a=(own, shipped), b=(own, core), c=()))
    assert snapshot.controls == (own,)
    subject = sharing_snapshot.described(snapshot)
    assert (subject.standard_controls, subject.custom_controls) == (2, 1)
    assert (subject.name, subject.description, subject.compliance_type) == ("f", "d", "X")


def test_a_copy_says_the_same_and_shares_no_id_of_its_own() -> None:
    own, shipped = control("own"), control("std", "Standard")
    original, controls = framework(a=(own, shipped), b=(own,), c=())
    snapshot = sharing_snapshot.taken(original, controls)
    copy, (new,) = sharing_snapshot.copied(snapshot, "bob", NOW)
    assert copy.id != original.id
    assert new.id != own.id
    assert new.sources[0].id != own.sources[0].id
    assert (new.name, new.description, new.sources[0].name) == ("own", "own", "own")
    assert [(s.id, s.name, s.control_ids) for s in copy.sets] == [
        ("a", "a, renamed", (new.id, shipped.id)),
        ("b", "b, renamed", (new.id,)),
        ("c", "c, renamed", ()),
    ]
    for thing in (copy, new):
        assert (thing.created_at, thing.updated_at) == (NOW, NOW)
        assert (thing.created_by, thing.updated_by) == ("bob", "bob")
    assert snapshot == sharing_snapshot.taken(original, controls)
