"""How far a search is: a live line on a terminal, plain lines in a pipe."""

import sys
import time
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from pahq.discovery.events import EdgeTested, Event, RunResumed, RunStarted

PLAIN_SECONDS = 5.0  # between two lines in a pipe
Line = TypeVar("Line", bound="_Bar")


class _Bar:
    """A line on stderr: drawn over and over on a terminal, printed now and then in a pipe."""

    def __init__(self, *columns: ProgressColumn, quiet: bool):
        self.console = Console(stderr=True)
        self.live = self.console.is_terminal and not quiet
        self.quiet = quiet
        self.last_line = time.monotonic()
        self.bar = Progress(*columns, console=self.console, transient=True)

    def __enter__(self: Line) -> Line:
        if self.live:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.bar.stop()

    def line_is_due(self) -> bool:
        """Return whether it is time for another plain line, and count it as printed."""
        if self.quiet or time.monotonic() - self.last_line <= PLAIN_SECONDS:
            return False
        self.last_line = time.monotonic()
        return True


class SearchProgress(_Bar):
    """Follows a search's events on stderr, so that stdout stays free for results."""

    def __init__(self, *, quiet: bool = False):
        super().__init__(
            TextColumn("[bold]{task.fields[where]:<12}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,} of {task.total:,} edges"),
            TextColumn("{task.fields[kept]} kept"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            quiet=quiet,
        )
        self.total = self.decided = self.kept = 0
        self.receiver = ""
        self.began = self.last_line
        self.before = 0  # decided by an earlier process
        self.task = self.bar.add_task("", total=1, where="loading", kept=0, rate="", start=False)

    def notice(self, sentence: str) -> None:
        """Print a sentence that the user should read."""
        if not self.quiet:
            self.console.print(
                f"[yellow]Note:[/] {escape(sentence)}", soft_wrap=True, highlight=False
            )

    def event(self, event: Event, t: float) -> None:
        """Take one event."""
        match event:
            case RunStarted():
                self.total, self.began = event.edges, time.monotonic()
                self.last_line = self.began
                self.bar.update(self.task, total=event.edges)
                self.bar.start_task(self.task)
            case RunResumed():
                self.before = self.decided = event.decided
                self.began = self.last_line = time.monotonic()
                self.bar.start_task(self.task)
            case EdgeTested():
                self.receiver = event.edge.partition("->")[2]
                self.decided, self.kept = event.i + 1, self.kept + event.kept
                self._show()
            case _:
                pass

    def resumed(self, *, total: int, kept: int) -> None:
        """Start from where an earlier process ended."""
        self.total, self.kept = total, kept
        self.bar.update(self.task, total=total)

    def _show(self) -> None:
        if self.live:
            self.bar.update(
                self.task,
                completed=self.decided,
                where=self.receiver,
                kept=self.kept,
                rate=f"{self._rate():,.0f}/s",
            )
        elif self.line_is_due():
            left = (self.total - self.decided) / max(self._rate(), 1e-9)
            print(
                f"{self.decided:,} of {self.total:,} edges decided, {self.kept} kept, "
                f"at {self.receiver}, {self._rate():,.0f} edges/s, at most {left:,.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def _rate(self) -> float:
        return (self.decided - self.before) / max(time.monotonic() - self.began, 1e-9)


class Ticking(_Bar):
    """Counts steps of equal cost on stderr; call it with those done and their number."""

    def __init__(self, what: str, *, quiet: bool = False):
        counted = TextColumn("{task.completed} of {task.total} " + what)
        super().__init__(BarColumn(bar_width=24), counted, TimeRemainingColumn(), quiet=quiet)
        self.what = what
        self.task = self.bar.add_task("", total=None)

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        if self.live:
            self.bar.update(self.task, completed=done, total=total)
        elif self.line_is_due():
            print(f"{done} of {total} {self.what}", file=sys.stderr, flush=True)
