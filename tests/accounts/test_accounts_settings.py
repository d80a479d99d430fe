"""Settings merge, answer what was asked, and refuse what they cannot keep."""

import pytest

from auditkeep.accounts import settings
from auditkeep.accounts.model import Account, TenantSettings
from auditkeep.errors import InvalidRequest
from auditkeep.wire.models import auditmanager as am

FRESH = Account(status="ACTIVE", kms_key="DEFAULT", settings=TenantSettings())
TOPIC = "arn:aws:sns:us-east-1:111122223333:audit"
OWNER = "arn:aws:iam::111122223333:role/Owner"
REPORTS = am.AssessmentReportsDestination(destination_type="S3", destination="s3://reports/x")


def test_a_fresh_account_has_the_documented_defaults() -> None:
    shown = settings.to_wire(FRESH)
    assert shown.is_aws_org_enabled is False
    assert shown.kms_key == "DEFAULT"
    assert shown.default_process_owners == ()
    assert shown.deregistration_policy == am.DeregistrationPolicy(delete_resources="DEFAULT")
    assert shown.sns_topic is None
    assert shown.default_assessment_reports_destination is None
    assert shown.default_export_destination is None
    assert shown.evidence_finder_enablement is None


def test_what_is_not_sent_stays() -> None:
    one = settings.merged(FRESH, am.UpdateSettingsRequest(sns_topic=TOPIC))
    two = settings.merged(
        one, am.UpdateSettingsRequest(default_assessment_reports_destination=REPORTS)
    )
    shown = settings.to_wire(two)
    assert shown.sns_topic == TOPIC
    assert shown.default_assessment_reports_destination == REPORTS
    assert settings.merged(two, am.UpdateSettingsRequest()) == two


def test_none_clears_the_topic_and_an_empty_list_the_owners() -> None:
    role = am.Role(role_type="PROCESS_OWNER", role_arn=OWNER)
    full = settings.merged(
        FRESH, am.UpdateSettingsRequest(sns_topic=TOPIC, default_process_owners=(role,))
    )
    assert settings.to_wire(full).default_process_owners == (role,)
    cleared = settings.merged(
        full, am.UpdateSettingsRequest(sns_topic="NONE", default_process_owners=())
    )
    assert cleared == FRESH


def test_every_member_is_kept() -> None:
    ask = am.UpdateSettingsRequest(
        sns_topic=TOPIC,
        default_assessment_reports_destination=REPORTS,
        default_process_owners=(am.Role(role_type="PROCESS_OWNER", role_arn=OWNER),),
        kms_key="arn:aws:kms:us-east-1:111122223333:key/k",
        evidence_finder_enabled=False,
        deregistration_policy=am.DeregistrationPolicy(delete_resources="ALL"),
        default_export_destination=am.DefaultExportDestination(
            destination_type="S3", destination="s3://exports"
        ),
    )
    shown = settings.to_wire(settings.merged(FRESH, ask))
    for member in ask.__struct_fields__:
        if member != "evidence_finder_enabled":
            assert getattr(shown, member) == getattr(ask, member), member


@pytest.mark.parametrize(
    ("attribute", "member"),
    [
        ("IS_AWS_ORG_ENABLED", "is_aws_org_enabled"),
        ("SNS_TOPIC", "sns_topic"),
        ("DEFAULT_ASSESSMENT_REPORTS_DESTINATION", "default_assessment_reports_destination"),
        ("DEFAULT_PROCESS_OWNERS", "default_process_owners"),
        ("DEREGISTRATION_POLICY", "deregistration_policy"),
        ("DEFAULT_EXPORT_DESTINATION", "default_export_destination"),
        ("EVIDENCE_FINDER_ENABLEMENT", "evidence_finder_enablement"),
    ],
)
def test_one_attribute_is_shown_alone(attribute: str, member: str) -> None:
    ask = am.UpdateSettingsRequest(
        sns_topic=TOPIC,
        default_assessment_reports_destination=REPORTS,
        default_export_destination=am.DefaultExportDestination(
            destination_type="S3", destination="s3://exports"
        ),
    )
    account = settings.merged(FRESH, ask)
    shown = settings.to_wire(account, attribute)  # type: ignore[arg-type]
    present = {m for m in shown.__struct_fields__ if getattr(shown, m) is not None}
    assert present == ({member} if member != "evidence_finder_enablement" else set())


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (
            am.UpdateSettingsRequest(
                default_process_owners=(am.Role(role_type="RESOURCE_OWNER", role_arn=OWNER),)
            ),
            "defaultProcessOwners",
        ),
        (am.UpdateSettingsRequest(evidence_finder_enabled=True), "evidenceFinderEnabled"),
        (
            am.UpdateSettingsRequest(
                default_assessment_reports_destination=am.AssessmentReportsDestination(
                    destination_type="S3"
                )
            ),
            "defaultAssessmentReportsDestination",
        ),
        (
            am.UpdateSettingsRequest(default_export_destination=am.DefaultExportDestination()),
            "defaultExportDestination",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(ask: am.UpdateSettingsRequest, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        settings.merged(FRESH, ask)
    assert [f.name for f in caught.value.fields] == [field]
