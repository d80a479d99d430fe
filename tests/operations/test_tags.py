"""ListTagsForResource, TagResource and UntagResource."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditkeep.errors import InvalidRequest, NotFound
from auditkeep.ids import new_id
from auditkeep.library.content import framework_id
from auditkeep.operations.auditmanager.assessments import create_assessment
from auditkeep.operations.auditmanager.controls import create_control
from auditkeep.operations.auditmanager.frameworks import create_assessment_framework
from auditkeep.operations.auditmanager.tags import (
    list_tags_for_resource,
    tag_resource,
    untag_resource,
)
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am


@pytest.fixture
def control(call: Call) -> am.Control:
    source = am.CreateControlMappingSource(source_type="MANUAL")
    ask = am.CreateControlRequest(name="c", control_mapping_sources=(source,), tags={"a": "1"})
    made = create_control(call, ask).control
    assert made is not None
    return made


@pytest.fixture
def arn(control: am.Control) -> str:
    return control.arn or ""


def tags(call: Call, arn: str) -> dict[str, str] | None:
    return list_tags_for_resource(call, am.ListTagsForResourceRequest(resource_arn=arn)).tags


def test_tags_of_creation_can_be_changed(call: Call, arn: str) -> None:
    assert tags(call, arn) == {"a": "1"}
    tag_resource(call, am.TagResourceRequest(resource_arn=arn, tags={"b": "2", "a": "3"}))
    assert tags(call, arn) == {"a": "3", "b": "2"}
    untag_resource(call, am.UntagResourceRequest(resource_arn=arn, tag_keys=("a", "no such key")))
    assert tags(call, arn) == {"b": "2"}
    untag_resource(call, am.UntagResourceRequest(resource_arn=arn, tag_keys=("b",)))
    assert tags(call, arn) == {}


def test_frameworks_have_tags_too(call: Call, control: am.Control) -> None:
    member = am.CreateAssessmentFrameworkControl(id=control.id or "")
    one = am.CreateAssessmentFrameworkControlSet(name="s", controls=(member,))
    ask = am.CreateAssessmentFrameworkRequest(name="f", control_sets=(one,))
    framework = create_assessment_framework(call, ask).framework
    assert framework is not None
    assert framework.arn is not None
    tag_resource(call, am.TagResourceRequest(resource_arn=framework.arn, tags={"k": "v"}))
    assert tags(call, framework.arn) == {"k": "v"}
    assert tags(call, control.arn or "") == {"a": "1"}


def test_assessments_have_tags_of_their_own(call: Call) -> None:
    ask = am.CreateAssessmentRequest(
        name="a",
        framework_id=framework_id("auditkeep-sample"),
        scope=am.Scope(aws_accounts=(am.AWSAccount(id=call.tenant.account),)),
        assessment_reports_destination=am.AssessmentReportsDestination(
            destination_type="S3", destination="s3://reports"
        ),
        roles=(
            am.Role(
                role_type="PROCESS_OWNER", role_arn=f"arn:aws:iam::{call.tenant.account}:role/O"
            ),
        ),
        tags={"a": "b"},
    )
    made = create_assessment(call, ask).assessment
    assert made is not None
    assert made.arn is not None
    tag_resource(call, am.TagResourceRequest(resource_arn=made.arn, tags={"c": "d"}))
    untag_resource(call, am.UntagResourceRequest(resource_arn=made.arn, tag_keys=("a",)))
    assert tags(call, made.arn) == {"c": "d"}
    with pytest.raises(NotFound):
        tags(call, f"{made.arn}/controlSet/The account")


def test_all_requests_together_give_fifty(call: Call, arn: str) -> None:
    forty_nine = {f"k{n}": "" for n in range(49)}
    tag_resource(call, am.TagResourceRequest(resource_arn=arn, tags=forty_nine))
    with pytest.raises(InvalidRequest, match="51") as caught:
        tag_resource(call, am.TagResourceRequest(resource_arn=arn, tags={"one more": ""}))
    assert [f.name for f in caught.value.fields] == ["tags"]


@pytest.mark.parametrize(
    "form",
    [
        "arn:aws:auditmanager:us-east-1:111122223333:control/{unknown}",
        "arn:aws:auditmanager:us-east-1:111122223333:assessmentFramework/{unknown}",
        "arn:aws:auditmanager:us-east-1:111122223333:assessment/{unknown}",
        "arn:aws:auditmanager:us-east-1:111122223333:assessment/{unknown}/controlSet/x",
        "arn:aws:auditmanager:us-east-1:111122223333:nonsense/{known}",
        "arn:aws:auditmanager:us-east-1:111122223333:assessmentFramework/{known}",
        "arn:aws:auditmanager:us-east-1:444455556666:control/{known}",
        "arn:aws:auditmanager:eu-west-1:111122223333:control/{known}",
        "arn:aws:auditmanager:us-east-1::control/{known}",
        "arn:aws-cn:auditmanager:us-east-1:111122223333:control/{known}",
        "arn:aws:auditmanager:us-east-1:111122223333:control/{known}\n",
    ],
)
def test_an_arn_that_names_nothing_here_is_not_found(
    call: Call, control: am.Control, form: str
) -> None:
    arn = form.format(unknown=new_id(), known=control.id)
    for attempt in (
        lambda: tags(call, arn),
        lambda: tag_resource(call, am.TagResourceRequest(resource_arn=arn, tags={"a": "b"})),
        lambda: untag_resource(call, am.UntagResourceRequest(resource_arn=arn, tag_keys=("a",))),
    ):
        with pytest.raises(NotFound) as caught:
            attempt()
        assert caught.value.resource_id == arn


def test_another_tenant_cannot_see_or_change_them(elsewhere: Call, arn: str, call: Call) -> None:
    with pytest.raises(NotFound):
        tags(elsewhere, arn)
    with pytest.raises(NotFound):
        tag_resource(elsewhere, am.TagResourceRequest(resource_arn=arn, tags={"a": "stolen"}))
    assert tags(call, arn) == {"a": "1"}


def test_what_is_shipped_takes_no_tags(call: Call) -> None:
    shipped = framework_id("auditkeep-sample")
    arn = f"arn:aws:auditmanager:us-east-1::assessmentFramework/{shipped}"
    assert tags(call, arn) == {}
    with pytest.raises(InvalidRequest, match="resourceArn"):
        tag_resource(call, am.TagResourceRequest(resource_arn=arn, tags={"a": "b"}))
    with pytest.raises(InvalidRequest, match="resourceArn"):
        untag_resource(call, am.UntagResourceRequest(resource_arn=arn, tag_keys=("a",)))


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.dictionaries(
        st.text("abzABZ019+-=._:/,;<", min_size=1, max_size=128).filter(
            lambda k: not k.startswith("aws:")
        ),
        st.text(max_size=255),
        max_size=49,
    )
)
def test_whatever_the_model_allows_comes_back(call: Call, arn: str, sent: dict[str, str]) -> None:
    before = tags(call, arn) or {}
    untag_resource(call, am.UntagResourceRequest(resource_arn=arn, tag_keys=tuple(before)))
    tag_resource(call, am.TagResourceRequest(resource_arn=arn, tags=sent))
    assert tags(call, arn) == sent
