"""Identity policies: IAM's JSON documents, read strictly and evaluated as IAM does.

Source: AWS IAM User Guide: "Grammar of the IAM JSON policy language", "Condition operators",
"Single-valued vs. multivalued context keys", "Variables and tags", "Policy evaluation logic".
`read` gives a policy ready to be asked, `decide` the answer, `explain` the answer with its
reasons. Rules kept here:

- nothing is allowed unless a statement allows it; a statement that denies wins over all others;
- actions match without regard to case, resources with it; `*` is any text, `?` one character;
- what is not understood is refused when the policy is read, never ignored: a condition that is
  skipped would grant more than its author meant;
- a key of the context is looked up only when a statement that speaks of the action and resource
  asks for it, so a policy without conditions costs nothing but its patterns.
"""

from auditkeep.access.policy.context import NOTHING, Context, Facts
from auditkeep.access.policy.decide import Considered, Decision, Explanation, decide, explain
from auditkeep.access.policy.document import LARGEST, read
from auditkeep.access.policy.statement import Effect, Policy, Statement, one_spelling

__all__ = [
    "LARGEST",
    "NOTHING",
    "Considered",
    "Context",
    "Decision",
    "Effect",
    "Explanation",
    "Facts",
    "Policy",
    "Statement",
    "decide",
    "explain",
    "one_spelling",
    "read",
]
