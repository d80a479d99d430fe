"""Controls and frameworks as values (AWS Audit Manager's nouns, spec sections 1.3-1.5).

The same structs describe what is shipped and what a tenant makes; as JSON they are the `document`
of the tables `controls` and `frameworks`. Optional members are None where a client sent nothing,
because an answer must hold exactly what was sent and nothing invented (spec section 11).
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from auditkeep.clock import Instant

ControlType = Literal["Standard", "Custom", "Core"]
FrameworkType = Literal["Standard", "Custom"]
ControlState = Literal["ACTIVE", "END_OF_SUPPORT"]
MappingType = Literal[
    "AWS_Cloudtrail",
    "AWS_Config",
    "AWS_Security_Hub",
    "AWS_API_Call",
    "MANUAL",
    "Common_Control",
    "Core_Control",
]
SetUpOption = Literal["System_Controls_Mapping", "Procedural_Controls_Mapping"]
InputType = Literal["SELECT_FROM_LIST", "UPLOAD_FILE", "INPUT_TEXT"]
Frequency = Literal["DAILY", "WEEKLY", "MONTHLY"]


class Keyword(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a source is asked for: a rule, a finding's control, an event, an API call."""

    value: str | None = None
    input_type: InputType | None = None


class MappingSource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a control's evidence comes from; its id stays for as long as the client sends it."""

    id: str
    type: MappingType
    set_up_option: SetUpOption
    name: str | None = None
    description: str | None = None
    keyword: Keyword | None = None
    frequency: Frequency | None = None
    troubleshooting: str | None = None


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One requirement and the sources that show how it is met."""

    id: str
    name: str
    type: ControlType
    sources: tuple[MappingSource, ...]
    created_at: Instant
    updated_at: Instant
    description: str | None = None
    testing_information: str | None = None
    action_plan_title: str | None = None
    action_plan_instructions: str | None = None
    created_by: str | None = None
    updated_by: str | None = None
    state: ControlState = "ACTIVE"
    objectives: tuple[str, ...] = ()
    """ARNs of what a shipped control serves; a custom one's follow from its sources."""


class ControlSet(msgspec.Struct, frozen=True, kw_only=True):
    """A named group of controls; the id is the name it was made with (spec section 1.5)."""

    id: str
    name: str
    control_ids: tuple[str, ...]


class Framework(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Control sets in their order; controls are referred to by id, never copied."""

    id: str
    name: str
    type: FrameworkType
    sets: tuple[ControlSet, ...]
    created_at: Instant
    updated_at: Instant
    description: str | None = None
    compliance_type: str | None = None
    logo: str | None = None
    created_by: str | None = None
    updated_by: str | None = None

    def control_ids(self) -> frozenset[str]:
        return frozenset(c for s in self.sets for c in s.control_ids)


class Shelf(Protocol):
    """What is shipped, as the stores need it: `library.Library` is one."""

    @property
    def frameworks(self) -> Mapping[str, Framework]: ...

    @property
    def controls(self) -> Mapping[str, Control]: ...

    def group(self, kind: MappingType, name: str) -> Control | None:
        """The control that a Core_Control or Common_Control source names by its keyword."""
        ...

    def domains_of(self, control: Control) -> tuple[str, ...]:
        """ARNs of the control domains that a control belongs to."""
        ...
