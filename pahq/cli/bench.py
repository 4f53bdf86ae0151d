"""``pahq bench``: what pahq costs on this machine, and the docs' tables."""

from pathlib import Path
from typing import Annotated

import typer

from pahq.cli.usage import Commands

To = Annotated[Path, typer.Option("--to", help="Folder of the results files.")]
Device = Annotated[str, typer.Option(help="Where searches compute: auto, cpu or cuda.")]
RESULTS = Path("benchmarks") / "results"
# At GPT-2 small's size these keep about 50, 60 and 250 edges.
THRESHOLDS = [0.01, 0.001, 0.000005]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        cls=Commands, help="Measure what pahq costs on this machine.", no_args_is_help=True
    )
    for command in (engine, precision, shortcuts, scaling, identical, report):
        group.command()(command)
    app.add_typer(group, name="bench")


def engine(
    model: Annotated[
        str | None, typer.Option(help="A model's directory; by default one is made.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="With --model: a task or a task file.")] = None,
    threshold: Annotated[
        list[float] | None, typer.Option(help="A search for each; may be given more than once.")
    ] = None,
    device: Device = "auto",
    to: To = RESULTS,
) -> None:
    """Time searches against one full forward of the original model per edge."""
    from pahq.bench.engine import at_size, shipped
    from pahq.bench.results import write

    device = _found(device)
    made = [at_size(threshold or THRESHOLDS, model=model, task=task, device=device)]
    if model is None:
        made.append(shipped(device=device))
    for result in made:
        print(write(result, to))


def precision(
    policy: Annotated[
        list[str] | None,
        typer.Option(help="A policy; may be given more than once. All by default, fp32 always."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="At GPT-2 small's size, the fastest of so many counts; 3."),
    ] = None,
    device: Device = "auto",
    to: To = RESULTS,
) -> None:
    """Compare every policy with full precision: time, memory, edges, noise (half an hour)."""
    from pahq.bench.measure import ROUNDS
    from pahq.bench.precision import POLICIES, at_size, shipped
    from pahq.bench.results import write
    from pahq.precision.policy import find_policy

    device = _found(device)
    for name in policy or ():
        find_policy(name)
    chosen = ("fp32", *(name for name in policy or POLICIES if name != "fp32"))
    print(write(shipped(chosen, device=device), to))
    print(write(at_size(chosen, device=device, rounds=rounds or ROUNDS), to))


def shortcuts(device: Device = "auto", to: To = RESULTS) -> None:
    """Search without each of the fast engine's shortcuts, to see what it gains."""
    from pahq.bench.results import write
    from pahq.bench.shortcuts import shortcuts as measured

    print(write(measured(device=_found(device)), to))


def scaling(device: Device = "auto", to: To = RESULTS) -> None:
    """Time searches with more layers, heads, prompts, tokens and edges kept."""
    from pahq.bench.results import write
    from pahq.bench.scaling import scaling as measured

    print(write(measured(device=_found(device)), to))


def identical(to: To = RESULTS) -> None:
    """Compare the fast engine's circuits with the reference engine's (half an hour)."""
    from pahq.bench.identical import identical as compared
    from pahq.bench.results import write

    print(write(compared(), to))


def report(to: To = RESULTS) -> None:
    """Write the tables of README and docs anew from the results files."""
    from pahq.bench.report import PAGES, written

    for name in PAGES:
        path = Path(name)
        path.write_text(written(path.read_text(encoding="utf-8"), to), encoding="utf-8")
        print(path)


def _found(device: str) -> str:
    """Return the kind of a device that is there, before anything is measured.

    Raises:
        PahqError: if there is none.
    """
    from pahq import catalog
    from pahq.runs.pipeline import find_device

    return find_device(catalog.find(catalog.DEVICES, device, kind="device").name).type
