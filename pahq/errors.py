"""Errors we raise on purpose.

PahqError
├── UsageError            the user asked for something that cannot be (exit status 2)
│   ├── UnknownName       a model, task, policy ... that does not exist
│   ├── BadThreshold      not a positive, finite number
│   ├── BadTaskFile       a task file or one of its rows cannot be used
│   ├── NothingToExplain  a clean prompt equals its corrupt twin
│   ├── BadPolicy         a policy file leaves something undefined or names something unknown
│   ├── BadModel          a model directory that cannot be loaded
│   └── BadRunFolder      a run folder that cannot be read, written or resumed
├── CheckFailed           the model cannot be reproduced exactly (exit status 1)
└── SearchFailed          a search that had to end (exit status 1)
"""


class PahqError(Exception):
    """An error we raise on purpose. It always says what happened, why, and how to fix it."""

    exit_status = 1

    def __init__(self, what: str, *, why: str, fix: str):
        super().__init__(f"{what}\n  why: {why}\n  fix: {fix}")
        self.what, self.why, self.fix = what, why, fix

    def as_dict(self) -> dict[str, str]:
        """Return the three parts, as ``run_failed`` events and the app store them."""
        return {"what": self.what, "why": self.why, "fix": self.fix}


class UsageError(PahqError):
    """Something in the request itself is wrong; nothing was computed."""

    exit_status = 2


class UnknownName(UsageError):
    """A name that is not in the catalog."""


class BadThreshold(UsageError):
    """The threshold is not a positive, finite number."""


class BadTaskFile(UsageError):
    """A task file, or one of its rows, cannot be used."""


class NothingToExplain(UsageError):
    """A clean prompt and its corrupt twin are the same."""


class BadPolicy(UsageError):
    """A policy that names something unknown or leaves a component without a format."""


class BadModel(UsageError):
    """A model directory that cannot be loaded."""


class BadRunFolder(UsageError):
    """A run folder that cannot be read, written or resumed."""


class CheckFailed(PahqError):
    """Our own forward does not reproduce the loaded model."""


class SearchFailed(PahqError):
    """A search that had to end before its last decision."""
