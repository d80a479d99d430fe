"""A control's listing while it is gathered: totals for all of it, rows only for what is open.

Items come newest first, so days follow one another; a day's sources take turns. Rows are handed
out by `take` as folders of (day, source), which is what a page or a volume shows.
"""

from auditkeep.clock import Day, day_name
from auditkeep.reports.model import DayFolder, DayTotal, Entry, Totals
from auditkeep.reports.names import Taken


class ControlListing:
    """One control: `path` is its folder in the archive."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.totals = Totals()
        self.rows = 0
        self._days: dict[Day, Totals] = {}
        self._open: dict[tuple[Day, str], list[Entry]] = {}
        self._paths: dict[tuple[Day, str], str] = {}
        self._names: dict[str, Taken] = {}
        self._names_of: Day | None = None

    @property
    def days(self) -> tuple[DayTotal, ...]:
        """Newest first."""
        ordered = sorted(self._days.items(), reverse=True)
        return tuple(DayTotal(day_name(day), totals) for day, totals in ordered)

    def name(self, day: Day, folder: str, wanted: str) -> tuple[str, str]:
        """The folder of a source's day, and a free name in it for one file."""
        if day != self._names_of:
            self._names_of, self._names = day, {}
        path = f"{self.path}/{folder}/{day_name(day)}"
        return path, self._names.setdefault(path, Taken()).give(wanted)

    def add(self, day: Day, path: str, entry: Entry) -> None:
        self.totals = self.totals.plus(entry.verdict)
        self._days[day] = self._days.get(day, Totals()).plus(entry.verdict)
        place = day, entry.data_source
        self._open.setdefault(place, []).append(entry)
        self._paths[place] = path
        self.rows += 1

    def take(self) -> tuple[DayFolder, ...]:
        """The rows gathered since the last time, newest day first."""
        folders = tuple(
            DayFolder(
                day=day_name(day),
                data_source=source,
                path=self._paths[day, source],
                totals=_totals(entries),
                entries=tuple(entries),
            )
            for (day, source), entries in sorted(
                self._open.items(), key=lambda item: (-item[0][0], item[0][1])
            )
        )
        self._open, self._paths, self.rows = {}, {}, 0
        return folders


def _totals(entries: list[Entry]) -> Totals:
    totals = Totals()
    for entry in entries:
        totals = totals.plus(entry.verdict)
    return totals
