"""``pahq compare``: what other settings, above all another precision, did to a circuit."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pahq.cli.console import on_stdout
from pahq.cli.runs import AsJson
from pahq.errors import UsageError
from pahq.runs import store
from pahq.runs.compare import CAUSES, Comparison, compare

WORST = 12  # components listed by rounding error
MEASURES = ("kept", "precision", "recall", "f1", "jaccard", "rank_correlation", "speedup")


def compare_(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="The reference first; folders or ids.")
    ],
    heads: Annotated[
        bool,
        typer.Option(
            "--heads", help="Also measure what rounding does to each component: loads the model."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare runs with the first: edges that changed and why, agreement, faithfulness."""
    if len(runs) < 2:
        raise UsageError(
            "There is only one run to compare.",
            why="a comparison needs a reference and at least one other run",
            fix="give two or more: `pahq list` shows them",
        )
    reference, *others = [store.find_run(name) for name in runs]
    found = [compare(reference, other) for other in others]
    errors = _rounding(others) if heads else {}
    if as_json:
        print(json.dumps(
            {"comparisons": [each.as_dict() for each in found], "rounding_errors": errors},
            indent=2,
        ))  # fmt: skip
        return
    for each in found:
        _print(each, errors.get(each.other))


def _rounding(folders: list[store.RunFolder]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the rounding errors of each run's components, by run."""
    from pahq.engine.rounding import rounding_errors
    from pahq.models.placement import placed
    from pahq.runs.pipeline import Session

    session, found = Session(), {}
    for folder in folders:
        prepared = session.prepare(folder.config)
        formats = prepared.policy.background(prepared.graph)
        weights = placed(prepared.model.weights, prepared.device)
        found[folder.id] = rounding_errors(weights, prepared.batches, formats)
    return found


def _print(found: Comparison, errors: dict[str, dict[str, float]] | None) -> None:
    console = on_stdout()
    console.print(f"[bold]{escape(found.other)}[/] against {escape(found.reference)}")
    console.print(escape(found.sentence), soft_wrap=True)
    if found.differing:
        names = ", ".join(found.differing)
        console.print(f"[yellow]Note:[/] they also differ in: {names}", soft_wrap=True)
    values = {name: getattr(found, name) for name in MEASURES}
    console.print("  ".join(f"{name.replace('_', ' ')} {_number(x)}" for name, x in values.items()),
                  soft_wrap=True)  # fmt: skip
    full, other = found.damages
    console.print(
        f"damage in the FP32 model: {_number(other)} {found.unit}, the reference's {_number(full)}",
        soft_wrap=True,
    )
    if found.flips:
        console.print(_flips(found))
        for cause in dict.fromkeys(flip.cause for flip in found.flips):
            console.print(f"[dim]{cause}: {CAUSES[cause]}[/]", soft_wrap=True)
    if errors:
        console.print(_worst(errors))
    console.print()


def _flips(found: Comparison) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("edge", "reference", "here", "distance to tau", "now", "cause"):
        text = title in ("edge", "now", "cause")
        table.add_column(title, justify="left" if text else "right", no_wrap=True)
    for flip in found.flips:
        table.add_row(
            escape(flip.edge), f"{flip.reference_effect:.4g}", f"{flip.effect:.4g}",
            f"{flip.distance:.0%}", "kept" if flip.kept else "cut", flip.cause,
        )  # fmt: skip
    return table


def _worst(errors: dict[str, dict[str, float]]) -> Table:
    """Return the components that rounding moves most, by what they write."""
    names = sorted(errors, key=lambda name: -errors[name]["output"])[:WORST]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("rounding error of")
    for what in ("q", "k", "v", "pattern", "output"):
        table.add_column(what, justify="right")
    for name in names:
        row = errors[name]
        cells = [f"{row[w]:.2%}" if w in row else "" for w in ("q", "k", "v", "pattern", "output")]
        table.add_row(name, *cells)
    return table


def _number(value: Any) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare_)
