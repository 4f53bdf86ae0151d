"""``pahq bench report``: the tables of README and docs, written from the results files alone."""

import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pahq.bench.results import ON_GPU, read
from pahq.errors import UsageError

Record = dict[str, Any]

MEGABYTE = 1e6
PAGES = ("README.md", "docs/benchmarks.md")
_MARKED = re.compile(r"(<!-- bench:(\S+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


RESOLVED = 1e-4  # nats; FP32 sums in another order tell effects apart to about 5e-6
RESOLUTION = 1e-5  # of effects in FP32, in nats: sums in another order


def written(page: str, results: Path) -> str:
    """Return a page's text with every marked table made anew from the results.

    Raises:
        UsageError: if a table's name is unknown or its measurement is missing.
    """

    def table(found: re.Match[str]) -> str:
        make = TABLES.get(found[2].removesuffix(ON_GPU))
        if make is None:
            raise UsageError(
                f"There is no table '{found[2]}'.",
                why=f"known are, also with {ON_GPU}: {', '.join(TABLES)}",
                fix="correct the mark in the page",
            )
        return f"{found[1]}{make(read(found[2], results))}\n{found[3]}"

    return _MARKED.sub(table, page)


def at_size(found: Record) -> str:
    """Return the searches at GPT-2 small's size."""
    rows = [
        (
            f"{row['edges_kept']:,} of {row['edges']:,}",
            f"{row['tests']:,}",
            _seconds(row["seconds"]),
            f"{_hours(row['bridge_seconds_per_test'] * row['tests'])}",
            f"**{row['ratio_live_tests']:,.0f}x**",
            f"{row['ratio_every_edge']:,.0f}x",
        )
        for row in found["searches"]
    ]
    head = (
        "edges kept", "tests", "pahq", "one full forward per test", "faster",
        "than one per edge",
    )  # fmt: skip
    return _table(head, rows) + "\n\n" + _memory(found) + " " + _machine(found)


def shipped(found: Record) -> str:
    """Return the searches of the shipped models."""
    rows = [
        (
            row["model"],
            row["task"],
            f"{row['edges_kept']} of {row['edges']:,}",
            f"{row['tests']:,}",
            f"{row['seconds']:.2f} s",
            f"{row['bridge_seconds']:.1f} s",
            f"{row['ratio']:,.0f}x",
            "yes" if row["same_circuit"] else "no",
        )
        for row in found["searches"]
    ]
    head = ("model", "task", "edges kept", "tests", "fast", "bridge", "ratio", "same circuit")
    return _table(head, rows) + "\n\n" + _machine(found)


def identical(found: Record) -> str:
    """Return how often the fast engine's circuit was the reference engine's."""
    rows = []
    for policy in dict.fromkeys(row["policy"] for row in found["rows"]):
        of_policy = [row for row in found["rows"] if row["policy"] == policy]
        above = [row for row in of_policy if row["threshold"] >= RESOLVED]
        below = [row for row in of_policy if row["threshold"] < RESOLVED]
        parted = [row for row in of_policy if row["margin"] is not None]
        # A margin that last bits alone cross: of FP32's sums, or of what they tip in low precision.
        explained = [r for r in parted if r["margin"] <= max(RESOLUTION, r.get("shaken") or 0.0)]
        rows.append(
            (
                f"`{policy}`",
                *(f"{sum(r['same_circuit'] for r in part)} of {len(part)}"
                  for part in (above, below)),
                f"{max(row['largest_difference'] for row in of_policy):.1e}",
                f"{max(row['margin'] for row in parted):.1e}" if parted else "-",
                f"{len(explained)} of {len(parted)}",
            )
        )  # fmt: skip
    head = (
        "policy", f"same circuit, threshold from {RESOLVED:g}", "below", "largest difference",
        "largest margin", "parted by last bits",
    )  # fmt: skip
    return _table(head, rows) + "\n\n" + _machine(found)


WHAT = {
    "kept_edges_only": "b: recompute only what kept edges reach",
    "reuse": "c: of q, k and v only what changed",
    "positions": "d: only where something reads, from the first changed token on",
    "stream_vocabulary": "f: a log-sum-exp by blocks, never all logits",
    "repeats": "g: a prompt whose head writes what it wrote is not followed again",
    "walk": "h: sets of cut senders grow out of each other",
}


def shortcuts(found: Record) -> str:
    """Return what a search costs without each shortcut."""
    searched = list(dict.fromkeys(row["searched"] for row in found["rows"]))
    by_switch = {(row["searched"], row["without"]): row for row in found["rows"]}
    rows = []
    for switched_off in (None, *WHAT):
        cells = [WHAT[switched_off] if switched_off else "nothing"]
        for name in searched:
            row, whole = by_switch[name, switched_off], by_switch[name, None]
            ratio = f" ({row['seconds'] / whole['seconds']:.2f}x)" if switched_off else ""
            cells.append(f"{row['seconds']:.2f} s{ratio}")
        rows.append(tuple(cells))
    assert all(row["same_circuit"] for row in found["rows"])
    return _table(("without", *searched), rows) + "\n\n" + _machine(found)


def scaling(found: Record) -> str:
    """Return how a search's cost grows with each of its sizes."""
    rows = [
        (
            f"{row['varied']} {row['value']:g}",
            f"{row['edges']:,}",
            f"{row['edges_kept']:,}",
            f"{row['tests']:,}",
            f"{row['seconds']:.1f} s",
            f"{1e3 * row['seconds'] / row['tests']:.1f} ms",
            f"{1e3 * statistics.mean(row['bridge_seconds'].values()):,.0f} ms",
        )
        for row in found["rows"]
    ]
    head = ("varied", "edges", "kept", "tests", "search", "a test", "one full forward")
    return _table(head, rows) + "\n\n" + _machine(found)


def precision_shipped(found: Record) -> str:
    """Return what every policy does to the shipped models' circuits."""
    rows = []
    for policy in dict.fromkeys(row["policy"] for row in found["rows"]):
        part = [row for row in found["rows"] if row["policy"] == policy]
        clear = [row for row in part if row["threshold"] > 10 * row["noise_floor"]]
        rows.append(
            (
                f"`{policy}`",
                f"{sum(row['seconds'] for row in part):.1f} s",
                f"{sum(row['same_circuit'] for row in part)} of {len(part)}",
                f"+{sum(row['added'] for row in part)} -{sum(row['lost'] for row in part)}",
                f"{statistics.mean(row['f1'] for row in part):.3f}",
                f"{min(row['f1'] for row in clear):.3f}" if clear else "-",
                f"{max(row['noise_floor'] for row in part):.1e}",
            )
        )
    head = (
        "policy", "all searches", "FP32's circuit", "edges", "mean F1",
        "least F1 where tau is ten times the noise", "largest noise floor",
    )  # fmt: skip
    return _table(head, rows) + "\n\n" + _machine(found)


def precision_at_size(found: Record) -> str:
    """Return what every policy costs at GPT-2 small's size."""

    def libraries(row: dict[str, Any]) -> tuple[str, ...]:
        # Of a GPU's memory only what torch holds is counted, and without a model that is nothing.
        return () if _on_gpu(found) else (f"{row['baseline_bytes'] / MEGABYTE:,.0f} MB",)

    rows = [
        (
            f"`{row['policy']}`",
            _seconds(row["seconds"]),
            f"{row['ratio']:.2g}x",
            f"{(row['peak_bytes'] - row['baseline_bytes']) / MEGABYTE:,.0f} MB",
            *libraries(row),
            f"{row['edges_kept']:,}",
            f"+{row['added']} -{row['lost']}",
            f"{row['f1']:.3f}",
            f"{row['noise_floor']:.1e}",
            ", ".join(f"{name} {how}" for name, how in row["formats"].items() if name != "fp32")
            or "native",
        )
        for row in found["rows"]
    ]
    head = (
        "policy", "search", "faster", "peak memory", *(() if _on_gpu(found) else ("libraries",)),
        "edges kept", "against FP32", "F1", "noise floor", "products",
    )  # fmt: skip
    return _table(head, rows) + "\n\n" + _machine(found)


TABLES: dict[str, Callable[[Record], str]] = {
    "engine-at-size": at_size,
    "engine-shipped": shipped,
    "engine-identical": identical,
    "engine-shortcuts": shortcuts,
    "engine-scaling": scaling,
    "precision-shipped": precision_shipped,
    "precision-at-size": precision_at_size,
}


def _memory(found: Record) -> str:
    bridge = found["bridge_memory"]
    ours = max(found["searches"], key=lambda row: row["peak_bytes"] - row["baseline_bytes"])
    fast, slow = ((one["peak_bytes"] - one["baseline_bytes"]) / MEGABYTE for one in (ours, bridge))
    if _on_gpu(found):
        return f"Peak memory on the GPU {fast:,.0f} MB against the bridge engine's {slow:,.0f} MB."
    return (
        f"Peak memory {fast:,.0f} MB against the bridge engine's {slow:,.0f} MB, above the "
        f"{ours['baseline_bytes'] / MEGABYTE:,.0f} MB that the process holds with the libraries "
        "loaded and no model."
    )


def _on_gpu(found: Record) -> bool:
    return found["environment"]["device"] != "cpu"


def _machine(found: Record) -> str:
    about = found["environment"]
    cores = f"{about['threads']} cores of {about['processor']}"
    where = f"one {about['device']}" if _on_gpu(found) else cores
    return (
        f"Measured {found['date']} with `{found['command']}` on {where}, "
        f"torch {about['packages']['torch']}."
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def _hours(seconds: float) -> str:
    if seconds < 120:
        return _seconds(seconds)
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
