"""A small cloud organisation that exists only here: accounts, people and what they own.

Four accounts, two regions, a dozen people. Everything follows from one seed, so that two demos
over the same days tell the same story.
"""

from dataclasses import dataclass

HOME_REGION = "us-east-1"
REGIONS = (HOME_REGION, "eu-west-1")


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    traffic: int
    """Events of everyday work a day and region, before weekends are taken off."""


@dataclass(frozen=True)
class Person:
    name: str
    job: str
    accounts: tuple[str, ...]
    careful: bool
    """Whether they follow the house rules; the others are where the findings come from."""


MANAGEMENT = Account("111122223333", "management", 15)
PRODUCTION = Account("222233334444", "production", 90)
STAGING = Account("333344445555", "staging", 55)
SANDBOX = Account("444455556666", "sandbox", 35)
ACCOUNTS = (MANAGEMENT, PRODUCTION, STAGING, SANDBOX)

PEOPLE = (
    Person("amara", "platform engineer", (PRODUCTION.id, STAGING.id), careful=True),
    Person("benoit", "platform engineer", (PRODUCTION.id, STAGING.id, SANDBOX.id), careful=True),
    Person("chidi", "security engineer", tuple(a.id for a in ACCOUNTS), careful=True),
    Person("dolores", "database engineer", (PRODUCTION.id, STAGING.id), careful=True),
    Person("edvard", "developer", (STAGING.id, SANDBOX.id), careful=True),
    Person("fatou", "developer", (STAGING.id, SANDBOX.id), careful=True),
    Person("gustav", "contractor", (STAGING.id, SANDBOX.id), careful=False),
    Person("hana", "developer", (SANDBOX.id,), careful=False),
    Person("ines", "finance", (MANAGEMENT.id,), careful=True),
    Person("deploy-bot", "pipeline", (PRODUCTION.id, STAGING.id), careful=True),
)


@dataclass(frozen=True)
class Asset:
    """A resource that rules judge: its AWS type, id, account and region, and the rules."""

    type: str
    id: str
    arn: str
    account: str
    region: str
    rules: tuple[str, ...]
    """Names of managed AWS Config rules."""
    controls: tuple[str, ...]
    """Security Hub control ids."""


def assets() -> tuple[Asset, ...]:
    """What the organisation owns, account by account."""
    found: list[Asset] = []
    for account in ACCOUNTS:
        found.append(
            Asset(
                "AWS::::Account",
                account.id,
                f"arn:aws:iam::{account.id}:root",
                account.id,
                HOME_REGION,
                ("iam-password-policy", "root-account-mfa-enabled", "cloudtrail-enabled"),
                ("IAM.6", "IAM.7", "CloudTrail.1"),
            )
        )
        for region in REGIONS:
            found += _regional(account, region)
    found += [_user(p, account) for p in PEOPLE for account in p.accounts[:1]]
    return tuple(found)


def _regional(account: Account, region: str) -> list[Asset]:
    made: list[Asset] = []
    for purpose in ("logs", "assets", "exports"):
        name = f"{account.name}-{purpose}-{region}"
        made.append(
            Asset(
                "AWS::S3::Bucket",
                name,
                f"arn:aws:s3:::{name}",
                account.id,
                region,
                (
                    "s3-bucket-public-read-prohibited",
                    "s3-bucket-server-side-encryption-enabled",
                    "s3-bucket-versioning-enabled",
                ),
                ("S3.2", "S3.5", "S3.8"),
            )
        )
    number = int(account.id[:4])
    for index, tier in enumerate(("web", "data")):
        group = f"sg-{number:04x}{index}{'e' if region.startswith('eu') else 'a'}7"
        made.append(
            Asset(
                "AWS::EC2::SecurityGroup",
                group,
                f"arn:aws:ec2:{region}:{account.id}:security-group/{group}",
                account.id,
                region,
                ("restricted-ssh", "vpc-default-security-group-closed"),
                ("EC2.13", "EC2.2"),
            )
        )
        database = f"{account.name}-{tier}"
        made.append(
            Asset(
                "AWS::RDS::DBInstance",
                database,
                f"arn:aws:rds:{region}:{account.id}:db:{database}",
                account.id,
                region,
                ("rds-storage-encrypted", "rds-instance-public-access-check"),
                ("RDS.3", "RDS.2"),
            )
        )
    return made


def _user(person: Person, account: str) -> Asset:
    return Asset(
        "AWS::IAM::User",
        person.name,
        f"arn:aws:iam::{account}:user/{person.name}",
        account,
        HOME_REGION,
        ("iam-user-mfa-enabled", "access-keys-rotated", "iam-user-no-policies-check"),
        ("IAM.5", "IAM.3", "IAM.2"),
    )
