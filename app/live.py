"""Follows a run's log and tells the browser only what is new."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pahq.runs.store import RunFolder
from pahq.viz.feed import Feed
from pahq.viz.theme import encoding

OVERLAP = 3  # messages a row is repeated in: the browser may draw only the last of several


@dataclass
class Tail:
    """One browser session's place in one run's log."""

    folder: RunFolder
    feed: Feed = field(default_factory=Feed)
    offset: int = 0
    sent: deque[int] = field(default_factory=lambda: deque([0] * OVERLAP, maxlen=OVERLAP))

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
            "ending": self.feed.ending,
            **more,
        }
