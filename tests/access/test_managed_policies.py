"""What each shipped policy allows, operation by operation (specification section 8.6)."""

import pytest

from auditkeep.access.grants import ADMINISTRATOR, DELEGATE_ACTIONS, OWNER_ACTIONS
from auditkeep.access.policies import managed
from auditkeep.access.policy import decide
from auditkeep.wire.models import auditkeep as ak
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.models import controlcatalog as cc

LETTERS = {
    "A": ADMINISTRATOR,
    "M": "AuditkeepManagement",
    "R": "AuditkeepReadOnly",
    "O": "AuditkeepAuditOwner",
    "T": "AuditkeepDelegate",
    "U": "AuditkeepAuditor",
    "C": "AuditkeepCollector",
}
ALLOWED = """
auditkeep:GetBackfill                                       A M R O . . .
auditkeep:GetBaseline                                       A M R O . . .
auditkeep:GetBaselineCoverage                               A M R O . . .
auditkeep:GetCollectionPlan                                 A M R O . . .
auditkeep:GetCoverage                                       A M R O . U .
auditkeep:GetErasure                                        A M R O . . .
auditkeep:GetKeepPolicy                                     A M R O . . .
auditkeep:GetRetention                                      A M R O . . .
auditkeep:ListLegalHolds                                    A M R O . . .
auditkeep:PlaceLegalHold                                    A . . . . . .
auditkeep:PutKeepPolicy                                     A . . . . . .
auditkeep:PutRetention                                      A . . . . . .
auditkeep:ReleaseLegalHold                                  A . . . . . .
auditkeep:ListGaps                                          A M R O . U .
auditkeep:PutBaseline                                       A M . . . . .
auditkeep:StartBackfill                                     A M . O . . .
auditkeep:GetCheckpoint                                     A M R O . U .
auditkeep:GetConsistencyProof                               A M R O . U .
auditkeep:GetEvidenceProof                                  A M R O T U .
auditkeep:GetInclusionProof                                 A M R O . U .
auditkeep:PutObservations                                   A . . . . . C
auditmanager:AssociateAssessmentReportEvidenceFolder        A M . O . . .
auditmanager:BatchAssociateAssessmentReportEvidence         A M . O . . .
auditmanager:BatchCreateDelegationByAssessment              A M . O . . .
auditmanager:BatchDeleteDelegationByAssessment              A M . O . . .
auditmanager:BatchDisassociateAssessmentReportEvidence      A M . O . . .
auditmanager:BatchImportEvidenceToAssessmentControl         A M . O T . C
auditmanager:CreateAssessment                               A M . O . . .
auditmanager:CreateAssessmentFramework                      A M . O . . .
auditmanager:CreateAssessmentReport                         A M . O . . .
auditmanager:CreateControl                                  A M . O . . .
auditmanager:DeleteAssessment                               A M . O . . .
auditmanager:DeleteAssessmentFramework                      A M . O . . .
auditmanager:DeleteAssessmentFrameworkShare                 A M . . . . .
auditmanager:DeleteAssessmentReport                         A M . O . . .
auditmanager:DeleteControl                                  A M . O . . .
auditmanager:DeregisterAccount                              A . . . . . .
auditmanager:DeregisterOrganizationAdminAccount             A . . . . . .
auditmanager:DisassociateAssessmentReportEvidenceFolder     A M . O . . .
auditmanager:GetAccountStatus                               A M R O T U C
auditmanager:GetAssessment                                  A M R O . U C
auditmanager:GetAssessmentFramework                         A M R O . U .
auditmanager:GetAssessmentReportUrl                         A M R O . U .
auditmanager:GetChangeLogs                                  A M R O . U .
auditmanager:GetControl                                     A M R O T U .
auditmanager:GetDelegations                                 A M R O T . .
auditmanager:GetEvidence                                    A M R O T U .
auditmanager:GetEvidenceByEvidenceFolder                    A M R O T U .
auditmanager:GetEvidenceFileUploadUrl                       A M . O T . C
auditmanager:GetEvidenceFolder                              A M R O T U .
auditmanager:GetEvidenceFoldersByAssessment                 A M R O . U .
auditmanager:GetEvidenceFoldersByAssessmentControl          A M R O T U .
auditmanager:GetInsights                                    A M R O . U .
auditmanager:GetInsightsByAssessment                        A M R O . U .
auditmanager:GetOrganizationAdminAccount                    A M R O . . .
auditmanager:GetServicesInScope                             A M R O T U .
auditmanager:GetSettings                                    A M R O T . .
auditmanager:ListAssessmentControlInsightsByControlDomain   A M R O . U .
auditmanager:ListAssessmentFrameworkShareRequests           A M R O . . .
auditmanager:ListAssessmentFrameworks                       A M R O . U .
auditmanager:ListAssessmentReports                          A M R O . U .
auditmanager:ListAssessments                                A M R O T U C
auditmanager:ListControlDomainInsights                      A M R O . U .
auditmanager:ListControlDomainInsightsByAssessment          A M R O . U .
auditmanager:ListControlInsightsByControlDomain             A M R O . U .
auditmanager:ListControls                                   A M R O . U .
auditmanager:ListKeywordsForDataSource                      A M R O T U .
auditmanager:ListNotifications                              A M R O T . .
auditmanager:ListTagsForResource                            A M R O . U .
auditmanager:RegisterAccount                                A . . . . . .
auditmanager:RegisterOrganizationAdminAccount               A . . . . . .
auditmanager:StartAssessmentFrameworkShare                  A M . . . . .
auditmanager:TagResource                                    A M . O . . .
auditmanager:UntagResource                                  A M . O . . .
auditmanager:UpdateAssessment                               A M . O . . .
auditmanager:UpdateAssessmentControl                        A M . O T . .
auditmanager:UpdateAssessmentControlSetStatus               A M . O T . .
auditmanager:UpdateAssessmentFramework                      A M . O . . .
auditmanager:UpdateAssessmentFrameworkShare                 A M . . . . .
auditmanager:UpdateAssessmentStatus                         A M . O . . .
auditmanager:UpdateControl                                  A M . O . . .
auditmanager:UpdateSettings                                 A . . . . . .
auditmanager:ValidateAssessmentReportIntegrity              A M R O . U .
controlcatalog:GetControl                                   . . . . . . .
controlcatalog:ListCommonControls                           A M R O T U .
controlcatalog:ListControlMappings                          A M R O T U .
controlcatalog:ListControls                                 A M R O T U .
controlcatalog:ListDomains                                  A M R O T U .
controlcatalog:ListObjectives                               A M R O T U .
"""
ROWS = [line.split() for line in ALLOWED.strip().splitlines()]
ACTIONS = [f"{o.service}:{o.name}" for o in (*am.OPERATIONS, *ak.OPERATIONS, *cc.OPERATIONS)]


def granted(name: str) -> set[str]:
    """The operations of Audit Manager that a policy allows."""
    policy = managed()[name]
    return {
        o.name for o in am.OPERATIONS if decide([policy], f"auditmanager:{o.name}", "*").allowed
    }


def test_these_policies_are_shipped() -> None:
    assert set(managed()) == set(LETTERS.values())


def test_the_table_holds_every_operation() -> None:
    assert sorted(row[0] for row in ROWS) == sorted(ACTIONS)
    assert all(len(row) == 1 + len(LETTERS) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_policy_allows_what_the_table_says(row: list[str]) -> None:
    action, *marks = row
    for (letter, name), mark in zip(LETTERS.items(), marks, strict=True):
        assert mark in (letter, ".")
        assert decide([managed()[name]], action, "*").allowed is (mark == letter), name


def test_policies_combine_for_none_of_them_denies() -> None:
    for policy in managed().values():
        assert {s.effect for s in policy.statements} == {"Allow"}, policy.name
        assert not policy.asks, policy.name


def test_the_administrator_may_do_everything() -> None:
    assert granted(ADMINISTRATOR) == {o.name for o in am.OPERATIONS}


def test_management_is_everything_but_the_account() -> None:
    assert len(granted("AuditkeepManagement")) == 57
    assert granted(ADMINISTRATOR) - granted("AuditkeepManagement") == {
        "RegisterAccount",
        "DeregisterAccount",
        "RegisterOrganizationAdminAccount",
        "DeregisterOrganizationAdminAccount",
        "UpdateSettings",
    }


def test_read_only_is_every_get_and_list_but_the_one_that_writes() -> None:
    reading = {o.name for o in am.OPERATIONS if o.name.startswith(("Get", "List"))}
    assert granted("AuditkeepReadOnly") == (
        reading - {"GetEvidenceFileUploadUrl"} | {"ValidateAssessmentReportIntegrity"}
    )


def test_an_auditor_reads_less_and_changes_nothing() -> None:
    assert granted("AuditkeepAuditor") < granted("AuditkeepReadOnly")


def test_an_owner_and_a_delegate_may_use_what_their_role_grants() -> None:
    assert granted("AuditkeepAuditOwner") >= OWNER_ACTIONS
    assert granted("AuditkeepDelegate") >= DELEGATE_ACTIONS
    assert granted("AuditkeepDelegate") & OWNER_ACTIONS == DELEGATE_ACTIONS


def test_a_collector_hands_in_evidence_and_no_more() -> None:
    assert granted("AuditkeepCollector") == {
        "BatchImportEvidenceToAssessmentControl",
        "GetAccountStatus",
        "GetAssessment",
        "GetEvidenceFileUploadUrl",
        "ListAssessments",
    }


@pytest.mark.parametrize("name", sorted(managed()))
def test_every_pattern_of_a_managed_policy_speaks_of_an_operation(name: str) -> None:
    for statement in managed()[name].statements:
        for glob in statement.actions:
            known = [*ACTIONS, "auditkeep:anything", "auditkeep:list-of-anything"]
            assert any(glob.matches(action.lower()) for action in known), (name, statement.name)
