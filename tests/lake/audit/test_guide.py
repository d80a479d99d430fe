"""What the guide says an audit says is what it says."""

import re

from tests.conftest import ROOT


def test_the_sentences_that_the_guide_promises_are_those_of_the_audit() -> None:
    lake = ROOT / "src/auditkeep/lake"
    files = [*(lake / "audit").glob("*.py"), lake / "parquet.py"]
    source = "".join(file.read_text() for file in files)
    source = re.sub(r'"\n\s*f?"', "", source)
    source = re.sub(r"\{[^{}]*\}", "…", source)
    guide = (ROOT / "docs/verification.md").read_text()
    _, _, table = guide.partition("## The whole deployment")
    table, _, _ = table.partition("## Which attack")
    table = re.sub(r"\*\*[^*]+\*\*", "", table)  # what is only to be stressed
    promised = re.findall(r"\*([^*]+)\*", table)
    assert len(promised) > 10
    for sentence in promised:
        for part in re.split(r"…|\bN\b", sentence):
            assert part.strip(" ;") in source, sentence
