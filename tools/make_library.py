"""Write the part of the shipped library that follows from facts: NIST SP 800-53.

    python tools/make_library.py ../shared        rewrites content/frameworks/nist-*.yaml
    python tools/make_library.py                  only checks what is there

Requirement ids and titles are NIST's (public domain); which rules, findings and events bear on a
requirement is in `facts/frameworks`; every sentence is our own, from the table of families in
`tools/nist_families.yaml`. Only keywords that the catalogues of `mapping` list are written.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from auditkeep.frameworks.rules import MOST_SOURCES
from auditkeep.library import lint, reading
from auditkeep.library.content import Content
from auditkeep.mapping import keywords

CONTENT = Path(__file__).parent.parent / "src" / "auditkeep" / "library" / "content" / "frameworks"
FAMILIES = Path(__file__).parent / "nist_families.yaml"

SLUG = "nist-800-53-r5-moderate"
BASELINE = "MODERATE"
RELEASED = "2026-05-01T00:00:00Z"

KINDS = (
    ("AWS_Config", "configRules"),
    ("AWS_Security_Hub", "securityHub"),
    ("AWS_Cloudtrail", "cloudTrailEvents"),
)

HEAD = """\
# NIST SP 800-53 Rev. 5, moderate baseline. Written by tools/make_library.py; do not edit.
# Ids and titles are NIST's (public domain), the texts are Auditkeep's own.
"""


def read(path: Path) -> Any:
    return json.loads(path.read_text())


class Facts:
    """One framework's requirements, and which Security Hub controls exist no more."""

    def __init__(self, shared: Path) -> None:
        facts = shared / "facts"
        self.framework = read(facts / "frameworks" / "nist-800-53-r5.json")
        findings = read(facts / "securityhub-controls.json")
        self.retired = {name for name, one in findings.items() if one.get("retired")}
        self.families: dict[str, dict[str, str]] = yaml.safe_load(FAMILIES.read_text())

    def requirements(self, family: str) -> Iterator[dict[str, Any]]:
        for one in self.framework["requirements"]:
            if one["family"] == family and BASELINE in one.get("baselines", ()):
                yield one

    def sources(self, requirement: dict[str, Any]) -> dict[str, list[str]]:
        """Listed keywords by source type, in the order of the catalogue's keywords."""
        found = {}
        for kind, member in KINDS:
            asked = [k for k in requirement[member] if k not in self.retired]
            words = {w for k in asked for w in [listed(kind, k)] if w is not None}
            if words:
                found[kind] = sorted(words, key=natural)
        return within_limit(found, set(requirement.get("derived", ())))


def within_limit(found: dict[str, list[str]], derived: set[str]) -> dict[str, list[str]]:
    """At most what a customer's copy of the control may hold, the manual source included.

    What only a crosswalk maps to the requirement goes first, then the last kinds of change.
    """
    over = sum(map(len, found.values())) + 1 - MOST_SOURCES
    weak = [(kind, k) for kind in ("AWS_Config", "AWS_Security_Hub") for k in found.get(kind, ())]
    weak = [(kind, k) for kind, k in weak if k in derived]
    weak += [("AWS_Cloudtrail", k) for k in reversed(found.get("AWS_Cloudtrail", ()))]
    cut = set(weak[: max(over, 0)])
    kept = {kind: [k for k in words if (kind, k) not in cut] for kind, words in found.items()}
    return {kind: words for kind, words in kept.items() if words}


def listed(kind: str, keyword: str) -> str | None:
    """The keyword as the catalogue spells it; None when it has none (read-only, too new)."""
    if keywords.is_listed(kind, keyword):
        return keyword
    spelt = {by_key(kind).get(key) for key in keywords.match_keys(kind, keyword)} - {None}
    return spelt.pop() if len(spelt) == 1 else None


@cache
def by_key(kind: str) -> dict[str, str]:
    """A listed keyword for each match key, so that `CreateFunction20150331` finds its name."""
    return {key: k for k in keywords.keywords(kind) for key in keywords.match_keys(kind, k)}


def natural(keyword: str) -> tuple[str, int, str]:
    """`IAM.2` before `IAM.10`."""
    name, _, number = keyword.rpartition(".")
    return (name, int(number), "") if number.isdigit() else ("", 0, keyword)


def nist(facts: Facts) -> dict[str, Any]:
    sets = []
    for group in facts.framework["groups"]:
        controls = [control(facts, group, r) for r in facts.requirements(group["id"])]
        if controls:
            name = f"{group['title']} ({group['id']})"
            objective = facts.families[group["id"]]["objective"]
            sets.append({"name": name, "objective": objective, "controls": controls})
    total = sum(len(s["controls"]) for s in sets)
    return {
        "slug": SLUG,
        "name": "NIST SP 800-53 Rev. 5, moderate baseline",
        "compliance_type": "NIST SP 800-53 Rev. 5",
        "description": (
            f"The {total} controls and control enhancements of NIST Special Publication 800-53 "
            f"Revision 5 that make up its moderate baseline, in {len(sets)} families. Where AWS "
            "Config, Security Hub or CloudTrail observe something that bears on a requirement, it "
            "is collected; each requirement takes documents as well. Evidence supports the "
            "judgement of an assessor and does not replace it."
        ),
        "released": RELEASED,
        "sets": sets,
    }


def control(facts: Facts, group: dict[str, str], requirement: dict[str, Any]) -> dict[str, Any]:
    sources = facts.sources(requirement)
    family = facts.families[group["id"]]
    key = requirement["id"]
    title = requirement["title"]
    policy = key.endswith("-1")
    papers = (
        f"the {group['title'].lower()} policy and the procedures that carry it out, with who "
        "approved them, to whom they were given, and when they were last reviewed"
        if policy
        else family["papers"]
    )
    automated = [{"type": kind, "keywords": words} for kind, words in sources.items()]
    manual = {
        "type": "MANUAL",
        "name": f"Documents for {key}",
        "description": f"Upload {papers}. Say which part answers {key} ({title}).",
    }
    return {
        "key": key,
        "name": f"{key}: {title}",
        "description": " ".join(described(key, title, group["title"], family, sources)),
        "testing": " ".join(tested(key, papers, family, sources)),
        "plan_title": f"Close the gaps found for {key}",
        "plan": " ".join(planned(key, family, sources, policy=policy)),
        "sources": [*automated, manual],
    }


def described(
    key: str, title: str, group: str, family: dict[str, str], sources: dict[str, list[str]]
) -> Iterator[str]:
    kind = "Enhancement" if "(" in key else "Requirement"
    yield f"{kind} {key} ({title}) of the family {group}, which is about {family['about']}."
    if not sources:
        yield "No AWS source observes it, so that its evidence is what people upload."
        return
    yield f"Auditkeep collects {enumerated(counted(sources))} that bear on it; {origin(sources)}."
    yield "They support the judgement whether the requirement is met; the judgement stays with"
    yield "the assessor."


def counted(sources: dict[str, list[str]]) -> list[str]:
    words = {
        "AWS_Config": ("the results of {} AWS Config rule", "s"),
        "AWS_Security_Hub": ("the findings of {} Security Hub control", "s"),
        "AWS_Cloudtrail": ("the CloudTrail records of {} kind", "s of change"),
    }
    one = {"AWS_Cloudtrail": " of change"}
    return [
        words[kind][0].format(len(k)) + (words[kind][1] if len(k) > 1 else one.get(kind, ""))
        for kind, k in sources.items()
    ]


def origin(sources: dict[str, list[str]]) -> str:
    """The services that findings or else records are about, at most eight by name."""
    findings = {k.rpartition(".")[0] for k in sources.get("AWS_Security_Hub", ())}
    records = {k.partition("_")[0] for k in sources.get("AWS_Cloudtrail", ())}
    if not findings and not records:
        return "each result names the resource it is about"
    # AWS writes one service both AutoScaling and Autoscaling: name it once
    spelt = {n.lower(): n for n in sorted(findings or records, reverse=True)}
    names = [name for _, name in sorted(spelt.items())]
    shown = names if len(names) <= 8 else [*names[:7], f"{len(names) - 7} more services"]
    return f"{'findings' if findings else 'records'} are about {enumerated(shown)}"


def tested(
    key: str, papers: str, family: dict[str, str], sources: dict[str, list[str]]
) -> Iterator[str]:
    yield f"Examine: {papers}. Interview: {family['people']}. Look for: {family['look']}."
    if "AWS_Config" in sources or "AWS_Security_Hub" in sources:
        yield "Follow each non-compliant item to its resource, and find out whether it was put"
        yield "right or accepted in writing by somebody who may."
    if "AWS_Cloudtrail" in sources:
        yield "Draw a sample of the changes recorded and trace each to an approved request."
    if sources:
        yield "A day without evidence means that nothing was observed, not that nothing happened:"
        yield "check that the sources were switched on in every account in scope."
    else:
        yield f"Ask for two examples from the period under review that show {key} at work."


def planned(
    key: str, family: dict[str, str], sources: dict[str, list[str]], *, policy: bool
) -> Iterator[str]:
    steps = []
    if "AWS_Config" in sources or "AWS_Security_Hub" in sources:
        steps.append(
            "List the resources whose newest evidence is non-compliant, with their owners, and "
            "put them right, beginning with the most exposed."
        )
    if policy:
        steps.append("Write or renew the policy and its procedures, and have them approved.")
    else:
        steps.append(family["act"])
    if "AWS_Cloudtrail" in sources:
        steps.append("Let changes of these kinds happen through reviewed pipelines only.")
    steps.append("Where a gap is accepted, upload the decision with its reason, owner and end.")
    steps.append(
        f"Review {key} again once new evidence shows the gaps gone."
        if sources
        else f"Upload the renewed documents, and review {key} again."
    )
    yield from (f"{number}. {step}" for number, step in enumerate(steps, 1))


def enumerated(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def write(path: Path, document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(HEAD + text)


def main(arguments: list[str]) -> int:
    if arguments:
        write(CONTENT / f"{SLUG}.yaml", nist(Facts(Path(arguments[0]))))
    contents: list[Content] = reading.read_frameworks(CONTENT)
    faults = lint.faults(contents, reading.read_catalogue())
    print(*faults, sep="\n", end="\n" if faults else "")
    if faults:
        return 1
    for content in contents:
        controls = [c for s in content.sets for c in s.controls]
        words = sum(len(s.keywords) for c in controls for s in c.sources)
        print(
            f"{content.slug}: {len(content.sets)} sets, {len(controls)} controls, {words} keywords"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
