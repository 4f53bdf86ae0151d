"""Where results are printed: as wide as the terminal, and never folded in a pipe."""

import sys

from rich.console import Console

IN_A_PIPE = 240  # columns


def on_stdout() -> Console:
    """Return the console that results go to."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else IN_A_PIPE)
