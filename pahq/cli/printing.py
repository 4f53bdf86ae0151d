"""Results as text on a terminal."""

from contextlib import suppress
from typing import Any

from rich.markup import escape
from rich.table import Table

from pahq.cli.console import on_stdout
from pahq.graph.circuit import Circuit
from pahq.runs.store import RunFolder


def print_summary(folder: RunFolder, summary: dict[str, Any]) -> None:
    """Print what a run found, in a few lines; what its summary lacks is said, not guessed."""
    console = on_stdout()
    if not summary:
        console.print(f"The run {folder.id} has no result yet.")
        return
    lines: dict[str, str] = {}
    for name, words in LINES.items():
        with suppress(KeyError, TypeError, ValueError):  # written by hand or by another version
            lines[name] = words(summary)
    for name, text in {**lines, "folder": str(folder.path)}.items():
        console.print(f"[bold]{name:<9}[/] {escape(text)}", soft_wrap=True)
    # Only policies that screen have anything to say of it.
    told = LINES.keys() - ({"screening"} - summary.keys())
    if lacking := [name for name in LINES if name in told and name not in lines]:
        console.print(f"[yellow]Note:[/] summary.json does not say: {', '.join(lacking)}")


def _status(summary: dict[str, Any]) -> str:
    if summary["status"] != "stopped":
        return str(summary["status"])
    decided, total = summary["edges_decided"], summary["edges_total"]
    return (
        f"stopped: {decided:,} of {total:,} edges decided, {_decided_kept(summary):,} of them "
        "kept; the rest counts as kept"
    )


def _decided_kept(summary: dict[str, Any]) -> int:
    """Return how many edges were kept by a decision, not for want of one."""
    return summary["edges_kept"] - (summary["edges_total"] - summary["edges_decided"])


def _model(summary: dict[str, Any]) -> str:
    score = summary["task_score"]
    if score is None:
        return "no prompt names an answer, so whether it does the task is not known"
    return f"right on {score:.1%} of the prompts"


def _circuit(summary: dict[str, Any]) -> str:
    kept, total = summary["edges_kept"], summary["edges_total"]
    return f"{kept:,} of {total:,} edges, {summary['nodes_kept']} nodes"


def _damage(summary: dict[str, Any]) -> str:
    recovered, held_out = summary.get("recovered"), summary.get("damage_held_out")
    return (
        f"{summary['damage']:.4g} {summary['unit']}"
        + (f", {recovered:.1%} recovered" if recovered is not None else "")
        + (f", held out {held_out:.4g}" if held_out is not None else "")
    )


def _search(summary: dict[str, Any]) -> str:
    return (
        f"{summary['wall_s']:.2f} s, {summary['tests_run']:,} tests, "
        f"{summary['tests_skipped']:,} edges skipped as dead"
    )


def _screening(summary: dict[str, Any]) -> str:
    found = summary["screening"]
    return (
        f"{found['fp32_tests']:,} of {summary['tests_run']:,} tests decided in FP32, "
        f"{found['audited']:,} of them audits, {found['disagreements']:,} against low precision; "
        f"largest error {found['error']:.1%} of an effect or the threshold"
    )


def _memory(summary: dict[str, Any]) -> str:
    parts = {"libraries": summary["baseline_bytes"], **summary.get("memory", {})}
    fetched = parts.pop("prefetch", None)
    named = ", ".join(f"{name.replace('_', ' ')} {size / 1e6:,.0f}" for name, size in parts.items())
    found = f"{summary['peak_bytes'] / 1e6:,.0f} MB peak: {named}"
    if fetched is None:
        return found
    counts = ", ".join(f"{count:,} {name}" for name, count in fetched.items())
    return f"{found}; FP32 weights fetched: {counts}"


def _noise(summary: dict[str, Any]) -> str:
    return (
        f"floor {summary['noise_floor']:.2g} {summary['unit']}; "
        f"{len(summary['near_threshold'])} decisions within 1e-5 of the threshold"
    )


LINES = {
    "status": _status,
    "model": _model,
    "circuit": _circuit,
    "damage": _damage,
    "search": _search,
    "screening": _screening,
    "memory": _memory,
    "noise": _noise,
}


def print_circuit(circuit: Circuit, *, limit: int) -> None:
    """Print the strongest edges of a circuit."""
    edges = sorted(circuit.edges(), key=lambda edge: -abs(edge[2]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("edge", no_wrap=True)
    table.add_column("effect", justify="right")
    for sender, receiver, effect in edges[:limit]:
        table.add_row(f"{sender}->{receiver}", f"{effect:.4g}")
    console = on_stdout()
    console.print()
    console.print(table)
    if len(edges) > limit:
        console.print(f"... and {len(edges) - limit:,} more (--edges N)")


def print_runs(rows: list[dict[str, Any]]) -> None:
    """Print runs as a table."""
    console = on_stdout()
    if not rows:
        console.print("No runs yet. Try: pahq run --model tiny-gpt --task ioi --threshold 0.01")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "status", "edges kept", "damage"):
        table.add_column(column, no_wrap=column != "damage")
    for row in rows:
        found = damage = ""
        if row.get("edges_kept") is not None and row.get("edges_total") is not None:
            found = f"{row['edges_kept']:,} of {row['edges_total']:,}"
            if row["status"] == "stopped" and row.get("edges_decided") is not None:
                found = f"{_decided_kept(row):,} of {row['edges_decided']:,} decided"
        if row.get("damage") is not None:
            damage = f"{row['damage']:.3g} {row.get('unit') or ''}"
        table.add_row(row["id"], row["status"], found, damage)
    console.print(table)


def _verdict(item: dict[str, Any]) -> str:
    if not item["agrees"]:
        return "[red]contradicts[/]"
    if item["most"] > item["least"]:
        return f"last bits: {item['least']:.6g} to {item['most']:.6g}"
    return ""


def print_verified(folder: RunFolder, found: dict[str, Any]) -> None:
    """Print what full forwards say of a run."""
    console = on_stdout()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("edge", "recorded", "full forwards", "difference", ""):
        table.add_column(title, justify="left" if title in ("edge", "") else "right")
    for item in found["decisions"]:
        difference = abs(item["recorded"] - item["verified"])
        table.add_row(
            escape(item["edge"]),
            f"{item['recorded']:.6g}",
            f"{item['verified']:.6g}",
            f"{difference:.1e}",
            _verdict(item),
        )
    console.print(table)
    damage = found["damage"]
    console.print(
        f"damage of the circuit: {damage['recorded']:.6g} recorded, {damage['verified']:.6g} "
        f"by the {found['engine']} engine; largest difference of an effect "
        f"{found['largest_difference']:.1e}; FP32 itself resolves {found['tolerance']:.1e}",
        soft_wrap=True,
    )
    if found["shakes"]:
        often = "once" if found["shakes"] == 1 else f"{found['shakes']} times"
        moved = (
            f"the damage from {damage['least']:.6g} to {damage['most']:.6g}"
            if damage["most"] > damage["least"]
            else "nothing of the damage"
        )
        console.print(
            f"Not all agreed at first. Last bits changed {often} move {moved}; "
            "what lies beyond such bounds by less than half their distance is no contradiction.",
            soft_wrap=True,
        )
    count = len(found["decisions"])
    if found["holds"]:
        console.print(f"[green]The run holds:[/] {count} decisions checked, none contradicted.")
    else:
        wrong = len(found["contradictions"])
        why = f"{wrong} of {count} decisions contradicted" if wrong else "the damage is another"
        console.print(f"[red]The run does not hold:[/] {why}.")
