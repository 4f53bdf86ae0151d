"""Which component gets which format: the fewest bytes whose rounding, all together, meets a budget.

``pahq-auto``. How much each component's rounding costs is measured one component at a time. Small
errors nearly add up, so components are raised in the order of noise saved for each byte spent, and
how many must be raised is found by measuring whole assignments. No torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pahq import catalog

Sensitivity = dict[str, dict[str, float]]  # component -> format -> nats
FULL = "fp32"
BITS = {entry.name: entry.bits for entry in catalog.FORMATS}


@dataclass(frozen=True)
class Assignment:
    """Formats that were chosen, and what they were chosen by.

    Attributes:
        formats: format of each component.
        noise: KL from FP32 that they cause together, in nats, as measured.
        budget: what was allowed, in nats.
        sensitivity: KL that each component's format alone causes, in nats.
        pairs: prompts it was measured on.
    """

    formats: dict[str, str]
    noise: float
    budget: float
    sensitivity: Sensitivity
    pairs: int

    def as_dict(self) -> dict[str, Any]:
        """Return the content of sensitivity.json."""
        return {
            "unit": "nats",
            "noise_budget": self.budget,
            "noise": self.noise,
            "pairs": self.pairs,
            "formats": self.formats,
            "sensitivity": self.sensitivity,
        }


def assign(
    sensitivity: Sensitivity,
    sizes: dict[str, int],
    budget: float,
    measure: Callable[[dict[str, str]], float],
) -> tuple[dict[str, str], float]:
    """Return the format of each component and the noise of all of them together.

    Args:
        sensitivity: of each component, the noise of each low format it may have.
        sizes: number of weights of each component.
        budget: most noise allowed, in nats.
        measure: returns the noise of an assignment.
    """
    lowest = {name: min(each, key=lambda fmt: BITS[fmt]) for name, each in sensitivity.items()}
    steps = _steps(sensitivity, sizes)

    def after(count: int) -> dict[str, str]:
        formats = dict(lowest)
        for step in steps[:count]:
            formats[step.component] = step.to
        return formats

    # Errors may cancel: a step can make the whole noisier. So the fewest bytes are tried first.
    least = measure(after(0))
    if least <= budget:
        return after(0), least
    low, high = 1, len(steps)  # `high` steps are enough: everything is in FP32
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if measure(after(middle)) <= budget else (middle + 1, high)
    return after(low), measure(after(low))


@dataclass(frozen=True)
class _Step:
    component: str
    to: str
    worth: float  # nats saved for each bit spent


def _steps(sensitivity: Sensitivity, sizes: dict[str, int]) -> Sequence[_Step]:
    """Return all raises, best first; a component's own come in the order of its formats."""
    found = []
    for name, each in sensitivity.items():
        noise = {**each, FULL: 0.0}
        ladder = sorted(noise, key=lambda fmt: BITS[fmt])
        at, top, last = 0, len(ladder) - 1, float("inf")
        while at < top:
            # The best next format, which may pass over one that saves little. What can save
            # nothing goes straight to FP32: no step is one to more noise.
            quieter = [i for i in range(at + 1, top) if noise[ladder[i]] < noise[ladder[at]]]
            best = max(
                [*quieter, top],
                key=lambda i: _worth(noise, ladder[at], ladder[i], sizes[name]),
            )
            last = min(last, _worth(noise, ladder[at], ladder[best], sizes[name]))
            found.append(_Step(name, ladder[best], last))
            at = best
    return sorted(found, key=lambda step: -step.worth)


def _worth(noise: dict[str, float], a: str, b: str, size: int) -> float:
    return max(noise[a] - noise[b], 0.0) / (size * (BITS[b] - BITS[a]))
