"""CloudTrail's flag `readOnly`, and the keywords whose events have it though they are evidence.

AWS leaves out calls that only read (`List…`, `Describe…`, `Get…`), and seven others by name (spec
3.4). The flag is no such rule: `kms:Decrypt` and `sts:AssumeRole`, which have it, would not have to
be named then, and `kms:Encrypt`, `bedrock:InvokeModel` and `sts:AssumeRoleWithSAML` have it and are
no reads by their names. So a key that stands in the list of keywords is evidence whatever the flag
says; any other event is left out where the flag says that it reads or, in old events that have no
flag, its name does.

Who asks CloudTrail for events that change something does not hear of the former: `asked_by_name`
tells what to ask for besides. No list says which names are flagged, so these are all that are
looked at and whose first word does not certainly change something.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from auditkeep.mapping import cloudtrail
from auditkeep.mapping.data_events import DATA

READS = re.compile(
    "(?:Get|List|Describe|Head|BatchGet|BatchDescribe|Lookup|Search|Query|Scan|Select|Check|"
    "Preview|Simulate|Validate|Verify|Estimate|Discover|View|Download)(?=[A-Z0-9]|$)"
)
"""Names of calls that change nothing."""

_CHANGES = re.compile(
    "(?:Batch|Admin)?(?:Accept|Acknowledge|Activate|Add|Allocate|Apply|Approve|Archive|Assign|"
    "Associate|Attach|Authorize|Cancel|Change|Close|Configure|Confirm|ConsoleLogin|Copy|Create|"
    "Deactivate|Deauthorize|Decline|Decrease|Delete|Deprecate|Deprovision|Deregister|Detach|"
    "Disable|Disassociate|Disconnect|Dissociate|Enable|Extend|Failover|Import|Increase|Install|"
    "Invite|Lock|Merge|Modify|Move|Opt|Pause|Promote|Provision|Purchase|Put|Reboot|Rebuild|Redact|"
    "Register|Reject|Release|Remove|Renew|Replace|Replicate|Request|Reset|Resize|Resolve|Respond|"
    "Restart|Restore|Resume|Revoke|Rollback|Rotate|Run|Schedule|Send|Set|Stop|Subscribe|Suspend|"
    "Start(?!Query|LiveTail)|SwitchRole|Switchover|Tag|Terminate|Transfer|Unarchive|Unassign|"
    "Undeprecate|Uninstall|Unlock|Unsubscribe|Untag|Update|Upgrade|Upload|Write)(?=[A-Z0-9]|$)"
)
"""Names of calls that certainly change something: their flag says so too."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
"""What may be put into a query: names of calls are no more than that."""


@cache
def listed() -> frozenset[str]:
    """The match keys of all keywords in the list."""
    return frozenset(key for word in cloudtrail.keywords() for key in cloudtrail.keyword_keys(word))


@dataclass(frozen=True, slots=True)
class ByName:
    """What to ask for besides events that change something, in order."""

    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """Of services that write the API's date behind a name: of these, all events."""

    def __bool__(self) -> bool:
        return bool(self.names or self.sources)


def asked_by_name(keys: Iterable[str] | None) -> ByName:
    """What to ask for so that all events of some keys are found; nothing where all are wanted."""
    names: set[str] = set()
    sources: set[str] = set()
    for key in keys or ():
        prefix, _, name = key.partition(":")
        if _CHANGES.match(name) or not _NAME.fullmatch(name):
            continue
        if key not in listed() or key in DATA or key in cloudtrail.EXCLUDED:
            continue
        if prefix in cloudtrail.VERSIONED_NAMES:
            sources.add(prefix + cloudtrail.SOURCE_SUFFIX)
        else:
            names.add(name)
    return ByName(tuple(sorted(names)), tuple(sorted(sources)))
