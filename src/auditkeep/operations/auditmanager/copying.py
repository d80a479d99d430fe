"""From the library's controls to the copies that assessments keep (see `assessments.model`)."""

from collections.abc import Iterator, Mapping

from auditkeep.assessments.model import AssessedControl, ControlCopy, FrameworkCopy, SourceCopy
from auditkeep.assessments.rules import CONTROL
from auditkeep.frameworks import keys
from auditkeep.frameworks.model import Control, Framework, Shelf
from auditkeep.frameworks.wire import framework_arn
from auditkeep.ids import Tenant


def copy_of(control: Control, library: Shelf) -> ControlCopy:
    """What an assessment remembers of a control, with the match keys it looks at from now on."""
    labels = keys.labels_of(control, library.group)
    return ControlCopy(
        name=control.name,
        type=control.type,
        labels=tuple(labels.split(", ")) if labels else (),
        match_keys=tuple(sorted(keys.match_keys_of(control, library.group))),
        sources=tuple(
            SourceCopy(
                type=s.type,
                keyword=s.keyword.value if s.keyword else None,
                name=s.name,
                frequency=s.frequency,
            )
            for s in keys.primitive_sources(control, library.group)
        ),
        description=control.description,
        testing_information=control.testing_information,
        action_plan_title=control.action_plan_title,
        action_plan_instructions=control.action_plan_instructions,
        domains=library.domains_of(control),
        rhythms=keys.rhythms_of(control, library.group),
    )


def copy_of_framework(framework: Framework, tenant: Tenant) -> FrameworkCopy:
    return FrameworkCopy(
        id=framework.id,
        arn=framework_arn(framework, tenant),
        name=framework.name,
        description=framework.description,
        logo=framework.logo,
        compliance_type=framework.compliance_type,
    )


def assessed(
    framework: Framework, controls: Mapping[str, Control], library: Shelf
) -> Iterator[AssessedControl]:
    """A framework's controls in their sets, numbered from 1; one in two sets is there twice."""
    copies = {i: copy_of(c, library) for i, c in controls.items()}
    ordinal = 0
    for one in framework.sets:
        for position, control_id in enumerate(one.control_ids):
            ordinal += 1
            yield AssessedControl(
                ordinal=ordinal,
                set_id=one.name,
                control_id=control_id,
                position=position,
                status=CONTROL.initial,
                removed=False,
                copy=copies[control_id],
            )
