"""The catalogue of common controls: stable ids, and which control belongs to what."""

import re

import msgspec
import pytest

from auditkeep.clock import Instant
from auditkeep.frameworks.model import Control, Keyword, MappingSource
from auditkeep.library import lint, reading
from auditkeep.library.content import CatalogueText
from auditkeep.library.domains import UNCATEGORIZED, Catalogue
from auditkeep.library.library import Library
from auditkeep.mapping import keywords

ASSETS = "arn:aws:controlcatalog:::domain/d4msesd9vvmzmmuvlv06m92uq"
INVENTORY = "arn:aws:controlcatalog:::objective/ad11p1961s8erra9m185wa1nn"
RECONCILE = "arn:aws:controlcatalog:::common-control/d4s7ik8fgv8082v3x31hifzcc"
DISCOVERY = "1ukpmkewk4i92tjmhsvewi4y7"


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.load()


@pytest.fixture(scope="module")
def catalogue(library: Library) -> Catalogue:
    return library.catalogue


def custom(*sources: tuple[str, str]) -> Control:
    now = Instant(0)
    return Control(
        id="own",
        name="Own",
        type="Custom",
        sources=tuple(
            MappingSource(
                id=f"{number}",
                type=kind,  # type: ignore[arg-type]
                set_up_option="System_Controls_Mapping",
                keyword=Keyword(word),
            )
            for number, (kind, word) in enumerate(sources)
        ),
        created_at=now,
        updated_at=now,
    )


def test_published_ids_are_kept_and_all_others_look_alike(catalogue: Catalogue) -> None:
    assert catalogue.domains[0].arn == ASSETS
    assert catalogue.objectives[0].arn == INVENTORY
    assert catalogue.common_controls[0].arn == RECONCILE
    kinds = {
        "domain": [d.arn for d in catalogue.domains],
        "objective": [o.arn for o in catalogue.objectives],
        "common-control": [c.arn for c in catalogue.common_controls],
    }
    for kind, arns in kinds.items():
        form = re.compile(rf"arn:aws:controlcatalog:::{kind}/[0-9a-z]{{25}}")
        assert all(form.fullmatch(arn) for arn in arns)
        assert len(set(arns)) == len(arns)


def test_an_id_that_was_made_never_changes(catalogue: Catalogue) -> None:
    by_name = {d.name: d.arn.rpartition("/")[2] for d in catalogue.domains}
    assert by_name["Identity and access management"] == "whqiloe6pw63msfjn2shaasx0"


def test_each_entry_lies_in_the_one_above(catalogue: Catalogue) -> None:
    assert {c.objective for c in catalogue.common_controls} == set(catalogue.objectives)
    assert {o.domain for o in catalogue.objectives} == set(catalogue.domains)


def test_what_ships_may_ship() -> None:
    assert lint.faults(reading.read_frameworks(), reading.read_catalogue()) == []


def test_a_catalogue_that_would_mislead_is_named() -> None:
    text = reading.read_catalogue()
    twice = msgspec.structs.replace(text, domains=(*text.domains, text.domains[0]))
    assert "The catalogue names 'asset-management' twice." in lint.faults([], twice)
    nothing = CatalogueText(released=text.released, domains=())
    found = lint.faults(reading.read_frameworks(), nothing)
    assert any("names the objective 'authorization', which the catalogue" in f for f in found)


def test_every_shipped_control_has_a_domain(library: Library) -> None:
    assert all(library.domains_of(c) for c in library.controls.values())


def test_a_custom_control_belongs_where_its_common_controls_do(library: Library) -> None:
    both = custom(("Common_Control", RECONCILE), ("AWS_Config", "IAM_PASSWORD_POLICY"))
    assert library.domains_of(both) == (ASSETS,)
    for entry in (ASSETS, INVENTORY, RECONCILE):
        assert library.belongs(both, entry)
    assert not library.belongs(both, f"arn:aws:controlcatalog:::common-control/{DISCOVERY}")
    assert not library.belongs(both, UNCATEGORIZED)


def test_sources_of_its_own_place_a_custom_control_nowhere(library: Library) -> None:
    own = custom(("AWS_Config", "IAM_PASSWORD_POLICY"))
    assert library.domains_of(own) == ()
    assert library.belongs(own, UNCATEGORIZED)
    assert not library.belongs(own, ASSETS)


def test_a_common_control_stands_for_its_sources(library: Library) -> None:
    found = library.group("Common_Control", DISCOVERY)
    assert found is not None
    assert {s.keyword.value for s in found.sources if s.keyword} >= {"SSM.1", "Config.1"}
    assert library.group("Core_Control", DISCOVERY) is None
    assert library.group("Common_Control", "no-such-control") is None


def test_a_common_control_without_a_source_asks_for_documents(library: Library) -> None:
    found = library.group("Common_Control", RECONCILE)
    assert found is not None
    assert [(s.type, s.name) for s in found.sources] == [
        ("MANUAL", "Documents for Asset inventory reconciliation and audit")
    ]


def test_what_common_controls_look_at_is_kept(library: Library) -> None:
    for common in library.catalogue.common_controls:
        for source in common.sources:
            if source.keyword and source.keyword.value:
                wanted = keywords.match_keys(source.type, source.keyword.value)
                assert wanted <= library.match_keys
