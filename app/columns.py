"""The table of page Compare: which measures there are and how a reader sees them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from choices import megabytes
from comparing import Finished
from pahq.runs.compare import Comparison

NOTHING = "–"


@dataclass(frozen=True)
class Row:
    """One run of the table; ``comparison`` with the reference, None for the reference itself."""

    entry: Finished
    comparison: Comparison | None = None
    elsewhere: bool = False


@dataclass(frozen=True)
class Measure:
    """One column.

    Attributes:
        title: its heading.
        help: what it means, in a sentence or two.
        text: a row's value as it is shown.
        size: what a bar below the value stands for; None without one.
    """

    title: str
    help: str
    text: Callable[[Row], str]
    size: Callable[[Row], float | None] | None = None


def number(value: float | None) -> str:
    """Return a measured quantity with three significant digits."""
    if value is None:
        return NOTHING
    if value and abs(value) < 1e-3:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa}e{int(power)}".replace("-", "−")
    return f"{value:,.3g}".replace("-", "−") if abs(value) < 1000 else f"{value:,.0f}"


def share(value: float | None) -> str:
    """Return a share as a percentage; only a whole is 100%."""
    if value is None:
        return NOTHING
    return f"{value:.0%}" if value in (0, 1) else f"{min(value, 0.999):.1%}"


def seconds(value: float | None) -> str:
    """Return a time with the digits that two runs may differ in."""
    if value is None:
        return NOTHING
    if value < 100:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 5400 else f"{value / 3600:.2f} h"


def measures(rows: Sequence[Row]) -> tuple[Measure, ...]:
    """Return the columns, in order; ``rows`` say which unit the damage has."""
    unit = rows[0].entry.summary.get("unit", "")
    return (
        Measure("Edges kept", "Edges in the circuit.", lambda r: _kept(r.entry)),
        Measure(
            f"Damage, {unit}",
            "How bad the circuit is: its damage in the FP32 model, whatever the search computed "
            "in. The metric's unit; lower is better.",
            lambda r: number(r.entry.summary.get("damage")),
        ),
        Measure(
            "Search",
            "Seconds from the first test to the last decision, without loading and without waits.",
            lambda r: seconds(r.entry.summary.get("wall_s")),
            lambda r: r.entry.summary.get("wall_s"),
        ),
        Measure(
            "Speed-up", "How many times as fast as A. Not given across machines.", _speed
        ),
        Measure(
            "Peak memory",
            "Most memory of the search, above what the process holds with its libraries and no "
            "model.",
            lambda r: _memory(r.entry),
            lambda r: _bytes(r.entry),
        ),
        Measure(
            "Noise floor",
            "The damage that the precision does by itself, with nothing cut. It should lie far "
            "below the threshold.",
            lambda r: number(r.entry.summary.get("noise_floor")),
        ),
        Measure(
            "Precision", "Share of this run's edges that A kept too.", _shared("precision")
        ),
        Measure("Recall", "Share of A's edges that this run kept too.", _shared("recall")),
        Measure("F1", "Harmonic mean of precision and recall.", _shared("f1")),
        Measure(
            "Jaccard", "Edges kept by both, as a share of those kept by either.", _shared("jaccard")
        ),
        Measure(
            "Rank corr.",
            "Spearman's rank correlation of the effects of all edges tested in both runs: 1 if "
            "they order the edges alike. Most effects are close to zero, and rounding reorders "
            "those first.",
            lambda r: NOTHING if r.comparison is None else _correlation(r.comparison),
        ),
        Measure(
            "Flips",
            "Edges with another verdict than in A. They are listed below.",
            lambda r: NOTHING if r.comparison is None else f"{len(r.comparison.flips):,}",
        ),
    )  # fmt: skip


def _kept(entry: Finished) -> str:
    return f"{entry.summary['edges_kept']:,}"


def _bytes(entry: Finished) -> float | None:
    peak, base = (entry.summary.get(name) for name in ("peak_bytes", "baseline_bytes"))
    return None if peak is None or base is None else float(max(peak - base, 0))


def _memory(entry: Finished) -> str:
    size = _bytes(entry)
    return NOTHING if size is None else megabytes(size)


def _speed(row: Row) -> str:
    if row.comparison is None or row.comparison.speedup is None or row.elsewhere:
        return NOTHING
    return f"{row.comparison.speedup:.2g}×"


def _correlation(comparison: Comparison) -> str:
    value = comparison.rank_correlation
    return NOTHING if value is None else f"{value:.3f}".replace("-", "−")


def _shared(name: str) -> Callable[[Row], str]:
    return lambda row: share(getattr(row.comparison, name) if row.comparison else None)
