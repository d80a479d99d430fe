"""CloudTrail keywords that never bring evidence, and why (spec 3.4)."""

from auditkeep.mapping import cloudtrail
from auditkeep.mapping.data_events import DATA
from auditkeep.mapping.event_flags import READS, listed


def why(keyword: str) -> str:
    """Why a CloudTrail keyword never brings evidence, as a sentence; nothing for all others."""
    keys = cloudtrail.keyword_keys(keyword)
    if keys <= cloudtrail.EXCLUDED:
        return "AWS leaves this call out of evidence by name."
    if keys <= DATA:
        return "CloudTrail logs this call as a data event, and those are no evidence."
    if not keys & listed() and all(READS.match(key.partition(":")[2]) for key in keys):
        return (
            "Calls that only read are no evidence; their events are accepted only where "
            "AUDITKEEP_CLOUDTRAIL_READS is set."
        )
    return ""
