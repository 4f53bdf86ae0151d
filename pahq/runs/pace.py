"""How fast decisions are made when somebody watches: a small model's search is over in a second."""

import time
from collections.abc import Callable
from dataclasses import dataclass

LOOK_SECONDS = 0.05  # how long at most until a stop or a pause is noticed


@dataclass(frozen=True)
class Pace:
    """A limit to the speed of a search; without any, as fast as possible.

    Attributes:
        per_second: most decisions a second.
        at_least: fewest seconds for the whole search; never slows one that takes longer anyway.
    """

    per_second: float | None = None
    at_least: float | None = None

    def seconds_each(self, edges: int) -> float:
        """Return the fewest seconds between decisions in a search of ``edges`` (0: unknown)."""
        own = 1 / self.per_second if self.per_second else 0.0
        return max(own, (self.at_least or 0.0) / edges) if edges else own


class Metronome:
    """Waits after each decision until the next one is due."""

    def __init__(self, pace: Pace, *, held: Callable[[], bool], ended: Callable[[], bool]):
        self._pace, self._held, self._ended = pace, held, ended
        self._each = 0.0
        self._due = 0.0

    def start(self, edges: int) -> None:
        """Begin a search of so many edges."""
        self._each = self._pace.seconds_each(edges)
        self._due = time.monotonic()

    def wait(self) -> None:
        """Wait for the next decision's time, and as long as the run is held."""
        # A search that fell behind does not hurry afterwards.
        self._due = max(self._due + self._each, time.monotonic() - LOOK_SECONDS)
        while not self._ended():
            left = self._due - time.monotonic()
            if self._held():
                left = LOOK_SECONDS
            elif left <= 0:
                return
            time.sleep(min(left, LOOK_SECONDS))
