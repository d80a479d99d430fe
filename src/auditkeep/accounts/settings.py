"""Settings in the API's shapes: merging what UpdateSettings sends, answering what was asked.

UpdateSettings merges: a member that is absent stays as it is, `NONE` clears the topic, an empty
list of owners clears them. Everything is checked before anything changes.
"""

import msgspec

from auditkeep.accounts.model import Account
from auditkeep.errors import InvalidRequest
from auditkeep.wire.models import auditmanager as am

_S3Destination = am.AssessmentReportsDestination | am.DefaultExportDestination

_SHOWN = {
    "IS_AWS_ORG_ENABLED": "is_aws_org_enabled",
    "SNS_TOPIC": "sns_topic",
    "DEFAULT_ASSESSMENT_REPORTS_DESTINATION": "default_assessment_reports_destination",
    "DEFAULT_PROCESS_OWNERS": "default_process_owners",
    "EVIDENCE_FINDER_ENABLEMENT": "evidence_finder_enablement",
    "DEREGISTRATION_POLICY": "deregistration_policy",
    "DEFAULT_EXPORT_DESTINATION": "default_export_destination",
}


def merged(account: Account, ask: am.UpdateSettingsRequest) -> Account:
    """The account with the asked changes; InvalidRequest names the member that is at fault."""
    if ask.evidence_finder_enabled:
        raise InvalidRequest.of_field(
            "evidenceFinderEnabled",
            "cannot be true: this version of Auditkeep has no evidence finder.",
        )
    changes: dict[str, object] = {}
    if ask.sns_topic is not None:
        changes["sns_topic"] = None if ask.sns_topic == "NONE" else ask.sns_topic
    if ask.default_assessment_reports_destination is not None:
        changes["report_destination"] = _destination(
            "defaultAssessmentReportsDestination", ask.default_assessment_reports_destination
        )
    if ask.default_export_destination is not None:
        changes["export_destination"] = _destination(
            "defaultExportDestination", ask.default_export_destination
        )
    if ask.default_process_owners is not None:
        changes["process_owners"] = tuple(map(_owner, ask.default_process_owners))
    if ask.deregistration_policy and ask.deregistration_policy.delete_resources:
        changes["delete_resources"] = ask.deregistration_policy.delete_resources
    return msgspec.structs.replace(
        account,
        settings=msgspec.structs.replace(account.settings, **changes),
        kms_key=ask.kms_key or account.kms_key,
    )


def to_wire(
    account: Account, attribute: am.SettingAttribute = "ALL", *, in_organisation: bool = False
) -> am.Settings:
    """All that is set, or one attribute alone; the key is shown among ALL only (spec 1.11)."""
    kept = account.settings
    everything = am.Settings(
        is_aws_org_enabled=in_organisation,
        sns_topic=kept.sns_topic,
        default_assessment_reports_destination=(
            am.AssessmentReportsDestination(
                destination_type="S3", destination=kept.report_destination
            )
            if kept.report_destination
            else None
        ),
        default_process_owners=tuple(
            am.Role(role_type="PROCESS_OWNER", role_arn=arn) for arn in kept.process_owners
        ),
        kms_key=account.kms_key,
        deregistration_policy=am.DeregistrationPolicy(delete_resources=kept.delete_resources),
        default_export_destination=(
            am.DefaultExportDestination(destination_type="S3", destination=kept.export_destination)
            if kept.export_destination
            else None
        ),
    )
    if attribute == "ALL":
        return everything
    name = _SHOWN[attribute]
    return am.Settings(**{name: getattr(everything, name)})


def _destination(field: str, asked: _S3Destination) -> str:
    if asked.destination is None or asked.destination_type is None:
        raise InvalidRequest.of_field(
            field, 'needs both destinationType and destination ("S3", "s3://bucket/prefix").'
        )
    return asked.destination


def _owner(role: am.Role) -> str:
    if role.role_type != "PROCESS_OWNER":
        raise InvalidRequest.of_field(
            "defaultProcessOwners", "may hold roles of the type PROCESS_OWNER only."
        )
    return role.role_arn
