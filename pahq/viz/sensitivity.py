"""How much each component's precision matters, as a run with the policy pahq-auto measured it."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pahq.viz.theme import bits

FILE = "sensitivity.json"  # in the run's folder


@dataclass(frozen=True)
class Sensitivity:
    """What sensitivity.json holds. A cost is how far the model's prediction moves from FP32's.

    Attributes:
        unit: of costs and noise.
        noise_budget: noise that all formats together may make.
        noise: noise that they make.
        pairs: prompt pairs it was measured on.
        formats: component -> the format it was given.
        costs: component -> format -> cost when this component alone computes in it, formats of
            fewest bits first. A component without a measurement is left out.
    """

    unit: str
    noise_budget: float | None
    noise: float | None
    pairs: int | None
    formats: dict[str, str]
    costs: dict[str, dict[str, float]]

    @property
    def compared(self) -> str:
        """The format components are compared in: measured for most of them, of fewest bits."""
        count = Counter(name for found in self.costs.values() for name in found)
        return min(count, key=lambda name: (-count[name], bits(name), name))

    def shown(self, component: str) -> tuple[str, float]:
        """Return the format and the cost that a picture shows of a component."""
        found = self.costs[component]
        name = self.compared if self.compared in found else next(iter(found))
        return name, found[name]

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest cost shown, above zero; both zero if nothing costs anything."""
        costs = [cost for cost in (self.shown(name)[1] for name in self.costs) if cost > 0]
        return (min(costs), max(costs)) if costs else (0.0, 0.0)

    def share(self, component: str) -> float:
        """Return where a component stands between both ends of ``span``, on a log scale."""
        (least, most), cost = self.span, self.shown(component)[1]
        if cost <= least:  # what rounds to nothing, or below it, is the least
            return 0.0
        return math.log(cost / least) / math.log(most / least)

    def as_dict(self) -> dict[str, Any]:
        """Return what the browser draws; ``cells``: component -> [format, cost, share]."""
        least, most = self.span
        return {
            "unit": self.unit,
            "noise_budget": self.noise_budget,
            "noise": self.noise,
            "pairs": self.pairs,
            "formats": self.formats,
            "costs": self.costs,
            "compared": self.compared,
            "least": least,
            "most": most,
            "cells": {name: [*self.shown(name), round(self.share(name), 4)] for name in self.costs},
        }


def sensitivity_of(record: Any) -> Sensitivity | None:
    """Return what sensitivity.json holds; None if it is missing, damaged or empty."""
    if not isinstance(record, dict):
        return None
    measured, formats = record.get("sensitivity"), record.get("formats")
    if not isinstance(measured, dict) or not isinstance(formats, dict):
        return None
    costs = {str(name): _costs(found) for name, found in measured.items()}
    costs = {name: found for name, found in costs.items() if found}
    if not costs:
        return None
    pairs = record.get("pairs")
    return Sensitivity(
        unit=str(record.get("unit", "nats")),
        noise_budget=_number(record.get("noise_budget")),
        noise=_number(record.get("noise")),
        pairs=pairs if isinstance(pairs, int) else None,
        formats={str(name): str(fmt) for name, fmt in formats.items()},
        costs=costs,
    )


def _costs(found: Any) -> dict[str, float]:
    if not isinstance(found, dict):
        return {}
    numbers = {str(fmt): _number(cost) for fmt, cost in found.items()}
    known = {fmt: cost for fmt, cost in numbers.items() if cost is not None}
    return dict(sorted(known.items(), key=lambda item: (bits(item[0]), item[0])))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
