"""What the precision map shows beside formats: how sensitive components are, and where verdicts
are not those of full precision. Read from the files of a run once.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pahq.errors import PahqError
from pahq.runs.compare import compare, full_precision_twin
from pahq.runs.store import RunFolder
from pahq.viz.feed import Feed, short
from pahq.viz.sensitivity import FILE, sensitivity_of

NO_SENSITIVITY = "Measured by runs with the policy pahq-auto."
FULL_PRECISION = "This is the full-precision run."
NOT_ENDED = "Counted when this run has ended."
NO_TWIN = "Needs a finished full-precision run of the same settings."
Runs = Callable[[], Iterable[RunFolder]]


@dataclass
class Measured:
    """What was measured of one run.

    Attributes:
        folder: the run.
        among: gives the runs among which that in full precision is looked for.
    """

    folder: RunFolder
    among: Runs
    _sensitivity: dict[str, Any] | None = None
    _flips: dict[str, Any] | None = None
    _why_no_flips: str = NOT_ENDED
    _ending: dict[str, Any] | None = field(default=None, repr=False)

    def of(self, feed: Feed) -> dict[str, Any]:
        """Return both as the browser draws them; ``refused``: which is missing -> why."""
        self._sensitivity = self._sensitivity or read_sensitivity(self.folder)
        if feed.ending is not self._ending:  # it has ended, or goes on again
            self._ending = feed.ending
            self._flips, self._why_no_flips = flips(self.folder, feed, self.among)
        refused = {
            "sensitivity": "" if self._sensitivity else NO_SENSITIVITY,
            "flips": self._why_no_flips,
        }
        return {
            "sensitivity": self._sensitivity,
            "flips": self._flips,
            "refused": {mode: why for mode, why in refused.items() if why},
        }


def read_sensitivity(folder: RunFolder) -> dict[str, Any] | None:
    """Return what the run's policy measured; None if it measured nothing."""
    try:
        record = json.loads((folder.path / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = sensitivity_of(record)
    return found.as_dict() if found else None


def flips(folder: RunFolder, feed: Feed, among: Runs) -> tuple[dict[str, Any] | None, str]:
    """Return edges whose verdict is not that of full precision; or None, and why.

    ``rows``, in the order of the decisions: [decision, effect in full precision, cause].
    """
    if feed.ending is None:
        return None, NOT_ENDED
    try:
        if folder.config.policy == "fp32":
            return None, FULL_PRECISION
        reference = full_precision_twin(folder, among())
        if reference is None:
            return None, NO_TWIN
        found = compare(reference, folder)
    except PahqError as error:
        return None, error.what
    number = feed.decision_numbers()
    rows = [
        [number[flip.edge], short(flip.reference_effect), flip.cause]
        for flip in found.flips
        if flip.edge in number
    ]
    return {"reference": reference.id, "edges": found.edges, "rows": sorted(rows)}, ""
