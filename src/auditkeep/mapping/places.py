"""Which services have no region of their own: their events count in every region (spec 3.8).

CloudTrail logs them in one region, mostly us-east-1, whoever they concern. Sign-in is among them
because a person signs in to an account, not to a region. STS is not: its endpoints are regional,
and the old global one cannot be told from us-east-1's. Names are canonical event source prefixes
(`mapping.cloudtrail.prefix_of`).
"""

from auditkeep.ids import GLOBAL_REGION

GLOBAL_SERVICES = frozenset(
    {
        "account",
        "artifact",
        "aws-marketplace",
        "billing",
        "billingconductor",
        "billingconsole",
        "budgets",
        "ce",
        "chatbot",
        "cloudfront",
        "consolidatedbilling",
        "cost-optimization-hub",
        "cur",
        "ecr-public",
        "freetier",
        "globalaccelerator",
        "health",
        "iam",
        "invoicing",
        "networkmanager",
        "organizations",
        "payments",
        "pricing",
        "pricingplanmanager",
        "route53",
        "route53-recovery-control-config",
        "route53domains",
        "savingsplans",
        "shield",
        "signin",
        "support",
        "supportplans",
        "tax",
        "trustedadvisor",
        "waf",
    }
)


def origin_region(prefix: str, region: str) -> str:
    """The region an event belongs to: the one it was logged in, unless its service has none."""
    return GLOBAL_REGION if prefix in GLOBAL_SERVICES else region
