"""Match keys of records that AWS leaves out, for whoever keeps every record (`lake.keeping`).

Spec 3.4: calls that only read, data and Insights events, and seven calls by name are no evidence.
Under the policy `all` they are kept all the same, hashed and logged as any other, with a key of
their own. Invariant: no keyword means such a key, so no control ever sees one, and what a control
shows is the same under each policy.
"""

PREFIX = "left_out:"
"""No keyword's key begins so: what stands before a key's first `:` has no `_`, wherever a keyword
chooses it."""

NAMELESS = "cloudtrail:Insight"
"""Stands for events of CloudTrail Insights, which tell of no single call."""


def left_out(match_key: str) -> str:
    """The key of a record that would have this one if it were evidence."""
    return f"{PREFIX}{match_key}"
