"""Controls and frameworks in the API's shapes, both ways: the one place where these are built.

An answer holds what was sent and nothing else: members without a value are left out, manual
sources get no keyword and no frequency (spec section 11, invariant 1).
"""

from collections.abc import Mapping

from auditkeep import clock, ids
from auditkeep.errors import InvalidRequest
from auditkeep.frameworks import keys, rules
from auditkeep.frameworks.model import (
    Control,
    ControlSet,
    Framework,
    Keyword,
    MappingSource,
    Shelf,
)
from auditkeep.ids import Tenant
from auditkeep.wire.models import auditmanager as am

Tags = Mapping[str, str]
Asked = am.CreateControlMappingSource | am.ControlMappingSource


def control_arn(control: Control, tenant: Tenant) -> str:
    """Regional; without an account where the control is shipped (spec 1.2)."""
    if control.type == "Custom":
        return tenant.arn("control", control.id)
    return tenant.standard_arn("control", control.id)


def framework_arn(framework: Framework, tenant: Tenant) -> str:
    if framework.type == "Custom":
        return tenant.arn("assessmentFramework", framework.id)
    return tenant.standard_arn("assessmentFramework", framework.id)


def from_wire_source(asked: Asked, known_ids: frozenset[str] = frozenset()) -> MappingSource:
    """A source as it will be kept; an id is believed only where the control has it already."""
    if asked.source_type is None:
        raise InvalidRequest.of_field(
            "controlMappingSources", "hold a source without a sourceType."
        )
    sent = asked.source_id if isinstance(asked, am.ControlMappingSource) else None
    word = asked.source_keyword
    return MappingSource(
        id=sent if sent is not None and sent in known_ids else ids.new_id(),
        type=asked.source_type,
        set_up_option=rules.set_up_option(asked.source_type, asked.source_set_up_option),
        name=asked.source_name,
        description=asked.source_description,
        keyword=Keyword(word.keyword_value, word.keyword_input_type) if word else None,
        frequency=asked.source_frequency,
        troubleshooting=asked.troubleshooting_text,
    )


def to_wire_source(source: MappingSource) -> am.ControlMappingSource:
    word = source.keyword
    return am.ControlMappingSource(
        source_id=source.id,
        source_name=source.name,
        source_description=source.description,
        source_set_up_option=source.set_up_option,
        source_type=source.type,
        source_keyword=(
            am.SourceKeyword(keyword_input_type=word.input_type, keyword_value=word.value)
            if word
            else None
        ),
        source_frequency=source.frequency,
        troubleshooting_text=source.troubleshooting,
    )


def to_wire_control(control: Control, tenant: Tenant, tags: Tags, library: Shelf) -> am.Control:
    """A control with all its sources; `library` tells what core controls stand for."""
    return am.Control(
        arn=control_arn(control, tenant),
        id=control.id,
        type=control.type,
        name=control.name,
        description=control.description,
        testing_information=control.testing_information,
        action_plan_title=control.action_plan_title,
        action_plan_instructions=control.action_plan_instructions,
        control_sources=keys.labels_of(control, library.group),
        control_mapping_sources=tuple(map(to_wire_source, control.sources)),
        created_at=clock.wire(control.created_at),
        last_updated_at=clock.wire(control.updated_at),
        created_by=control.created_by,
        last_updated_by=control.updated_by,
        tags=dict(tags) or None,
        state=control.state,
    )


def to_wire_control_metadata(
    control: Control, tenant: Tenant, library: Shelf
) -> am.ControlMetadata:
    return am.ControlMetadata(
        arn=control_arn(control, tenant),
        id=control.id,
        name=control.name,
        control_sources=keys.labels_of(control, library.group),
        created_at=clock.wire(control.created_at),
        last_updated_at=clock.wire(control.updated_at),
    )


def to_wire_framework(
    framework: Framework,
    tenant: Tenant,
    tags: Tags,
    controls: Mapping[str, am.Control],
) -> am.Framework:
    """A framework with full controls, which the caller has built by id (see to_wire_control)."""
    labels = {
        label
        for i in framework.control_ids()
        for label in (controls[i].control_sources or "").split(", ")
    }
    return am.Framework(
        arn=framework_arn(framework, tenant),
        id=framework.id,
        name=framework.name,
        type=framework.type,
        compliance_type=framework.compliance_type,
        description=framework.description,
        logo=framework.logo,
        control_sources=", ".join(sorted(labels - {""})) or None,
        control_sets=tuple(_control_set(s, controls) for s in framework.sets),
        created_at=clock.wire(framework.created_at),
        last_updated_at=clock.wire(framework.updated_at),
        created_by=framework.created_by,
        last_updated_by=framework.updated_by,
        tags=dict(tags) or None,
    )


def to_wire_framework_metadata(
    framework: Framework, tenant: Tenant
) -> am.AssessmentFrameworkMetadata:
    return am.AssessmentFrameworkMetadata(
        arn=framework_arn(framework, tenant),
        id=framework.id,
        type=framework.type,
        name=framework.name,
        description=framework.description,
        logo=framework.logo,
        compliance_type=framework.compliance_type,
        controls_count=sum(len(s.control_ids) for s in framework.sets),
        control_sets_count=len(framework.sets),
        created_at=clock.wire(framework.created_at),
        last_updated_at=clock.wire(framework.updated_at),
    )


def _control_set(one: ControlSet, controls: Mapping[str, am.Control]) -> am.ControlSet:
    # The model allows no empty list here; a set whose controls were all deleted leaves it out.
    members = tuple(controls[i] for i in one.control_ids)
    return am.ControlSet(id=one.id, name=one.name, controls=members or None)
