"""Follows a run's log and tells the browser only what is new, as often as both can bear."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from measured import Measured, Runs
from pahq.runs.store import RunFolder
from pahq.viz.feed import Feed
from pahq.viz.theme import encoding

LOOK_SECONDS = 0.1  # of work in this process that the shortest interval allows
MOST_DOUBLINGS = 2
OVERLAP = 3  # messages a row is repeated in: the browser may draw only the last of several


@dataclass
class Load:
    """How much work a look at a run is: the interval between looks is doubled accordingly.

    Attributes:
        browser: how often the browser asks to double it, since its drawing takes too long.
    """

    browser: int = 0
    _spent: deque[float] = field(default_factory=lambda: deque(maxlen=3))

    def note(self, seconds: float) -> None:
        """Take what the last look cost here."""
        self._spent.append(seconds)

    @property
    def doublings(self) -> int:
        """Return how often to double the interval; one slow look alone changes nothing."""
        least = min(self._spent) if len(self._spent) == self._spent.maxlen else 0.0
        here = math.ceil(math.log2(least / LOOK_SECONDS)) if least > LOOK_SECONDS else 0
        return min(max(here, self.browser), MOST_DOUBLINGS)


@dataclass
class Tail:
    """One browser session's place in one run's log.

    Attributes:
        among: gives the runs among which the one in full precision is looked for.
    """

    folder: RunFolder
    among: Runs = tuple
    feed: Feed = field(default_factory=Feed)
    offset: int = 0
    sent: deque[int] = field(default_factory=lambda: deque([0] * OVERLAP, maxlen=OVERLAP))
    measured: Measured = field(init=False)

    def __post_init__(self) -> None:
        self.measured = Measured(self.folder, self.among)

    def read(self) -> None:
        """Take what was written since the last call.

        A run that is resumed has its ending cut off, so lines before our offset have changed:
        then the log is read anew.
        """
        log = self.folder.path / "events.jsonl"
        size = log.stat().st_size if log.exists() else 0
        if size < self.offset or (self.feed.ending and size != self.offset):
            self.feed, self.offset = Feed(), 0
            self.resync()
        records, self.offset = self.folder.records(self.offset)
        self.feed.add(records)

    def resync(self) -> None:
        """Send everything next time."""
        self.sent.extend([0] * OVERLAP)

    def _ending(self) -> dict[str, Any] | None:
        """Return how the run ended. The log of a stopped one does not say what it came to."""
        ending = self.feed.ending
        if ending is None or ending["type"] != "run_stopped" or "summary" in ending:
            return ending
        summary = self.folder.summary or {}
        if summary.get("edges_decided") == self.feed.decided:  # not that of an earlier stop
            ending["summary"] = summary
        return ending

    def message(self, **more: Any) -> dict[str, Any]:
        """Return the rows that the browser may not have yet, and the header with the first."""
        start = self.sent[0] if self.feed.header else 0
        self.sent.append(len(self.feed.rows))
        first = start == 0
        return {
            "run": self.folder.id,
            "from": start,
            "rows": self.feed.rows[start:],
            "header": self.feed.header if first else None,
            "encoding": encoding() if first else None,
            "ending": self._ending(),
            "compact": self.feed.compact,
            "measured": self.measured.of(self.feed),
            **more,
        }
