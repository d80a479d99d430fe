"""A tenant's registration and settings (spec sections 1.11 and 2.1).

    state       RegisterAccount              DeregisterAccount
    (no row)    → ACTIVE                     stays, answered as INACTIVE
    ACTIVE      stays; a named key replaces  → INACTIVE; assessments sleep
                                             → ERASING under the policy ALL
    INACTIVE    → ACTIVE                     stays
    ERASING     refused                      stays; by itself → ERASED, see `erasure`
    ERASED      → ACTIVE, as if for the      stays
                first time

On the wire ERASING and ERASED are INACTIVE. While a tenant is not ACTIVE, all but these, its
status, RegisterOrganizationAdminAccount and tags answers AccessDenied. An assessment that sleeps
keeps its status and sees nothing new until it is saved with UpdateAssessment.

Deregistering under the policy DEFAULT keeps everything: settings, controls, frameworks and
assessments are there again after the next registration, and evidence until its retention ends.
Under ALL everything is destroyed.
"""

from typing import Literal

import msgspec

AccountStatus = Literal["ACTIVE", "INACTIVE"]
KeptStatus = Literal["ACTIVE", "INACTIVE", "ERASING", "ERASED"]
DeleteResources = Literal["ALL", "DEFAULT"]

OWN_KEY = "DEFAULT"
"""The deployment's own key: what encrypts a tenant that has named no key."""


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What UpdateSettings has set, and nothing else; None where nothing was."""

    sns_topic: str | None = None
    report_destination: str | None = None
    """`s3://bucket/prefix`, where reports of new assessments go unless they say otherwise."""
    export_destination: str | None = None
    process_owners: tuple[str, ...] = ()
    """ARNs of default audit owners; the role is PROCESS_OWNER always."""
    delete_resources: DeleteResources = "DEFAULT"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant that has registered at least once."""

    status: KeptStatus
    kms_key: str
    settings: TenantSettings
