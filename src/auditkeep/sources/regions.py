"""Which regions an account has switched on, from `ec2:DescribeRegions`.

Source: AWS Account Management, "Enable or disable AWS Regions". Newer regions are off until an
account switches them on; a call to one that is off fails with a key that is not known, after it was
tried several times. So an account is asked which regions it has, where one that may be off is to be
asked (`collection.regions` remembers it).
"""

from auditkeep.ids import GLOBAL_REGION
from auditkeep.sources.pull import Clients, Refused
from auditkeep.sources.refusals import asking

ACTIONS = frozenset({"ec2:DescribeRegions"})


def enabled(clients: Clients) -> frozenset[str]:
    """All that are on, those too that are on for everybody; NotCollected where it does not say."""
    client = clients.client("ec2", GLOBAL_REGION)
    with asking(client, "DescribeRegions"):
        answer = client.describe_regions()
    found = frozenset(one["RegionName"] for one in answer.get("Regions", []))
    if not found:
        raise Refused(
            "The account named none of its regions.", service="ec2", operation="DescribeRegions"
        )
    return found
