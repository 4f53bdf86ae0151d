"""Results as text on a terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pahq.graph.circuit import Circuit
from pahq.runs.store import RunFolder


def print_summary(folder: RunFolder, summary: dict[str, Any]) -> None:
    """Print what a run found, in a few lines."""
    console = Console(highlight=False)
    if not summary:
        console.print(f"The run {folder.id} has no result yet.")
        return
    unit = summary["unit"]
    kept, total = summary["edges_kept"], summary["edges_total"]
    recovered = summary.get("recovered")
    lines = {
        "status": summary["status"]
        + (
            f" ({summary['edges_decided']:,} of {total:,} edges decided, the rest stays)"
            if summary["status"] == "stopped"
            else ""
        ),
        "circuit": f"{kept:,} of {total:,} edges, {summary['nodes_kept']} nodes",
        "damage": f"{summary['damage']:.4g} {unit}"
        + (f", {recovered:.1%} recovered" if recovered is not None else "")
        + (
            f", held out {summary['damage_held_out']:.4g}"
            if summary.get("damage_held_out") is not None
            else ""
        ),
        "search": f"{summary['wall_s']:.2f} s, {summary['tests_run']:,} tests, "
        f"{summary['tests_skipped']:,} edges skipped as dead",
        "memory": f"{summary['peak_bytes'] / 1e6:,.0f} MB peak, of which libraries "
        f"{summary['baseline_bytes'] / 1e6:,.0f} MB",
        "noise": f"floor {summary['noise_floor']:.2g} {unit}; "
        f"{len(summary['near_threshold'])} decisions within 1e-5 of the threshold",
        "folder": str(folder.path),
    }
    for name, text in lines.items():
        console.print(f"[bold]{name:<8}[/] {escape(text)}", soft_wrap=True)


def print_circuit(circuit: Circuit, *, limit: int) -> None:
    """Print the strongest edges of a circuit."""
    edges = sorted(circuit.edges(), key=lambda edge: -abs(edge[2]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("edge", no_wrap=True)
    table.add_column("effect", justify="right")
    for sender, receiver, effect in edges[:limit]:
        table.add_row(f"{sender}->{receiver}", f"{effect:.4g}")
    console = Console(highlight=False)
    console.print()
    console.print(table)
    if len(edges) > limit:
        console.print(f"... and {len(edges) - limit:,} more (--edges N)")


def print_runs(rows: list[dict[str, Any]]) -> None:
    """Print runs as a table."""
    console = Console(highlight=False)
    if not rows:
        console.print("No runs yet. Try: pahq run --model tiny-gpt --task ioi --threshold 0.01")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "status", "edges kept", "damage"):
        table.add_column(column, no_wrap=column == "id")
    for row in rows:
        kept = row.get("edges_kept")
        found = f"{kept:,} of {row['edges_total']:,}" if kept is not None else ""
        damage = f"{row['damage']:.3g} {row['unit']}" if row.get("damage") is not None else ""
        table.add_row(row["id"], row["status"], found, damage)
    console.print(table)
