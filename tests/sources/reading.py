"""A parser's results sorted out, for the sources' tests."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from auditkeep.ids import Tenant
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation
from auditkeep.sources.pull import Page, Puller
from auditkeep.sources.records import Context, Parsed, Rejected, Tally
from auditkeep.sources.secrets import Cutter
from auditkeep.sources.window import Blocks

Parse = Callable[[Blocks, Context, Tally], Parsed]

EVERYTHING = Context(Tenant("111122223333", "us-east-1"), Interest.everything(), Cutter(b"k" * 32))


@dataclass
class Read:
    """What came of a text."""

    observations: list[Observation]
    rejected: list[Rejected]
    tally: Tally

    @property
    def only(self) -> Observation:
        assert not self.rejected
        (observation,) = self.observations
        return observation

    @property
    def reason(self) -> str:
        (rejected,) = self.rejected
        assert not self.observations
        return rejected.reason

    @property
    def unmatched(self) -> str:
        assert not self.rejected
        assert not self.observations
        (reason,) = self.tally.unmatched
        return reason


def read(parse: Parse, data: bytes, context: Context = EVERYTHING) -> Read:
    return read_blocks(parse, iter([data]), context)


def read_blocks(parse: Parse, blocks: Blocks, context: Context = EVERYTHING) -> Read:
    tally = Tally()
    found = list(parse(blocks, context, tally))
    return Read(
        [f for f in found if isinstance(f, Observation)],
        [f for f in found if isinstance(f, Rejected)],
        tally,
    )


def read_pages(puller: Puller, pages: Iterable[Page], context: Context = EVERYTHING) -> Read:
    """What a puller reads in some pages, one after the other."""
    tally = Tally()
    found = [item for page in pages for item in puller.parse(page, context, tally)]
    return Read(
        [f for f in found if isinstance(f, Observation)],
        [f for f in found if isinstance(f, Rejected)],
        tally,
    )
