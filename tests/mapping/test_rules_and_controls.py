"""Rules and standards' controls: from what a source says to a match key."""

import pytest

from auditkeep.mapping import catalogue, config, securityhub
from auditkeep.mapping.places import origin_region


@pytest.mark.parametrize(
    ("name", "identifier", "managed", "key"),
    [
        ("my-own-name", "INCOMING_SSH_DISABLED", True, "config:INCOMING_SSH_DISABLED"),
        ("restricted-ssh", None, None, "config:INCOMING_SSH_DISABLED"),
        ("restricted-ssh", None, False, "config:Custom_restricted-ssh"),
        ("access-keys-rotated", None, None, "config:ACCESS_KEYS_ROTATED"),
        ("my-rule", None, None, "config:Custom_my-rule"),
        # deployed by an organisation or a pack: whose it is, only its definition tells for certain
        (
            "OrgConfigRule-s3-bucket-versioning-enabled-dbgzf8ba",
            None,
            None,
            "config:S3_BUCKET_VERSIONING_ENABLED",
        ),
        (
            "OrgConfigRule-s3-bucket-versioning-enabled-dbgzf8ba",
            None,
            False,
            "config:Custom_OrgConfigRule-s3-bucket-versioning-enabled",
        ),
        (
            "restricted-ssh-conformance-pack-a1b2c3d4e",
            None,
            None,
            "config:INCOMING_SSH_DISABLED",
        ),
        (
            "iam-check-conformance-pack-a1b2c3d4e",
            None,
            None,
            "config:Custom_iam-check-conformance-pack",
        ),
        # not of the random suffix's form: the name is what it is
        ("OrgConfigRule-abc-XYZ", None, None, "config:Custom_OrgConfigRule-abc-XYZ"),
    ],
)
def test_a_rule_is_known_by_identifier_or_stripped_name(
    name: str, identifier: str | None, managed: bool | None, key: str
) -> None:
    assert config.rule_key(name, identifier=identifier, managed=managed) == key


@pytest.mark.parametrize("word", ["disabled", "required", "attached", "v2", "2fa4all2"])
def test_a_keyword_finds_the_rule_whose_name_ends_in_a_word(word: str) -> None:
    rule = config.rule_key(f"OrgConfigRule-incoming-ssh-{word}-dbgzf8ba", managed=False)
    keyword = f"Custom_OrgConfigRule-incoming-ssh-{word}"
    assert rule == f"config:{keyword}"
    assert rule in config.keyword_keys(keyword)


@pytest.mark.parametrize(
    "name",
    ["OrgConfigRule-restricted-ssh-dbgzf8ba", "restricted-ssh-conformance-pack-a1b2c3d4e"],
)
def test_a_rule_whose_owner_nobody_tells_is_found_by_either_keyword(name: str) -> None:
    key = config.rule_key(name)
    assert key in config.keyword_keys("INCOMING_SSH_DISABLED")
    assert key in config.keyword_keys(f"Custom_{config.stripped(name)}")


def test_a_word_of_a_name_is_no_random_suffix() -> None:
    keys = config.keyword_keys("Custom_OrgConfigRule-incoming-ssh-disabled")
    assert keys == {"config:Custom_OrgConfigRule-incoming-ssh-disabled"}


def test_what_stands_in_for_a_keyword_s_own_key_is_spare() -> None:
    keys = config.keyword_keys("Custom_OrgConfigRule-restricted-ssh-dbgzf8ba")
    own = "config:Custom_OrgConfigRule-restricted-ssh-dbgzf8ba"
    assert config.spare(keys) == keys - {own}
    assert config.spare(["config:INCOMING_SSH_DISABLED", "iam:CreateUser"]) == frozenset()


@pytest.mark.parametrize(
    ("name", "arn", "copy"),
    [
        ("securityhub-access-keys-rotated-8dsd3kl", "", True),
        (
            "x",
            "arn:aws:config:r:1:config-rule/aws-service-rule/securityhub.amazonaws.com/c-1",
            True,
        ),
        (
            "x",
            "arn:aws:config:r:1:config-rule/aws-service-rule/config-conforms.amazonaws.com/c-1",
            False,
        ),
        ("x", "arn:aws:config:r:1:config-rule/config-rule-1", False),
    ],
)
def test_copies_that_other_services_keep_are_told_apart(name: str, arn: str, copy: bool) -> None:
    assert config.is_copy(name, arn) is copy


@pytest.mark.parametrize(
    ("standard", "version", "control", "key"),
    [
        ("cis-aws-foundations-benchmark", "1.2.0", "1.12", "securityhub:IAM.4"),
        ("cis-aws-foundations-benchmark", "1.4.0", "1.4", "securityhub:IAM.4"),
        ("cis-aws-foundations-benchmark", "1.7.0", "1.6", None),
        ("pci-dss", "3.2.1", "PCI.IAM.1", "securityhub:IAM.4"),
        ("pci-dss", "3.2.1", "IAM.1", "securityhub:IAM.4"),
        ("nist-800-53", "5.0.0", "IAM.4", "securityhub:IAM.4"),
        ("aws-foundational-security-best-practices", "1.0.0", "EC2.7", "securityhub:EC2.7"),
        ("aws-foundational-security-best-practices", "1.0.0", "Nothing.99", None),
    ],
)
def test_a_standards_control_is_the_consolidated_one(
    standard: str, version: str, control: str, key: str | None
) -> None:
    assert securityhub.standard_key(standard, version, control) == key


def test_every_listed_control_resolves_to_a_control_that_exists() -> None:
    controls = set(catalogue.securityhub().controls)
    keys = {securityhub.control_key(k).removeprefix("securityhub:") for k in securityhub.keywords()}
    assert keys <= controls


def test_pci_ids_reach_each_control_of_their_standard_once() -> None:
    table = catalogue.securityhub().consolidated
    reached = [v for k, v in table.items() if k.startswith("PCI.")]
    assert len(reached) == len(set(reached)) == 46


def test_global_services_belong_to_no_region() -> None:
    assert origin_region("iam", "us-east-1") == "aws-global"
    assert origin_region("sts", "eu-west-1") == "eu-west-1"
    assert origin_region("ec2", "eu-west-1") == "eu-west-1"
