"""``pahq run resume list show verify export``: searches and their results."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pahq.cli.options import config_from, with_knobs
from pahq.cli.printing import print_circuit, print_runs, print_summary, print_verified
from pahq.cli.progress import SearchProgress, Ticking
from pahq.discovery.events import EdgeTested
from pahq.errors import BadRunFolder, UsageError
from pahq.export import FORMS, export
from pahq.paths import runs_dir
from pahq.runs import store

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder or id; `pahq list` shows them.")
]
INTERRUPTED = 130


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(with_knobs(run))
    others = {"resume": resume, "list": list_, "show": show, "verify": verify, "export": export_}
    for name, command in others.items():
        app.command(name)(command)


def run(
    settings: dict[str, Any],
    config: Annotated[
        Path | None, typer.Option("--config", help="Repeat the run of this config.json.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search for a circuit: test every edge, keep those that matter."""
    chosen = config_from(settings, config)
    store.check_free(out)
    with _following(as_json) as search:
        prepared = search.session.prepare(chosen)
        search.folder = folder = store.create(prepared.config, out=out)
        search.session.run(folder, prepared=prepared, **search.callbacks)
    _report(folder, as_json=as_json)


def resume(name: RunName, as_json: AsJson = False) -> None:
    """Go on with a run that was stopped or interrupted."""
    folder = store.find_run(name)
    if folder.finished:
        raise UsageError(
            f"The run {folder.id} is finished.",
            why="every edge was decided",
            fix=f"look at it with `pahq show {folder.id}`",
        )
    with _following(as_json, folder) as search:
        search.session.run(folder, **search.callbacks)
    _report(folder, as_json=as_json)


def verify(
    name: RunName,
    sample: Annotated[
        int,
        typer.Option(help="Number of decisions to draw, besides those near the threshold.", min=0),
    ] = 20,
    seed: Annotated[int, typer.Option(help="Which decisions are drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Check a run by full forwards of the original model; exit status 1 if they contradict it."""
    folder = store.find_run(name)
    with Ticking("checks made", quiet=as_json) as ticks:
        from pahq.runs.pipeline import Session
        from pahq.runs.verify import verify as check

        found = check(folder, Session(), sample=sample, seed=seed, on_progress=ticks)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print_verified(folder, found)
    if not found["holds"]:
        raise typer.Exit(1)


def list_(as_json: AsJson = False) -> None:
    """List the runs in the user's data folder, newest first."""
    _check_home()
    rows = [_row(folder) for folder in store.list_runs()]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        print_runs(rows)


def show(
    name: RunName,
    edges: Annotated[
        int, typer.Option(min=1, help="Number of edges to list, strongest first.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what a run found."""
    from pahq.library import Run

    run = Run(store.find_run(name))
    if _damaged(run.folder):
        raise BadRunFolder(
            f"The summary.json of the run {run.folder.id} is damaged.",
            why="it holds no JSON object, or an empty one",
            fix=f"write it anew with `pahq resume {run.path}`",
        )
    if as_json:
        print(json.dumps(run.summary, indent=2))
        return
    circuit = run.circuit
    print_summary(run.folder, run.summary)
    print_circuit(circuit, limit=edges)


def export_(
    name: RunName,
    to: Annotated[Path, typer.Option("--to", help=f"Target file: {', '.join(FORMS)}.")],
) -> None:
    """Write a run's circuit in another form, or the whole run as a zip."""
    export(store.find_run(name), to)
    typer.echo(f"Wrote {to}", err=True)


@dataclass
class _Search:
    """A session, the callbacks that show its progress and take Ctrl-C, and the run once made."""

    session: Any
    callbacks: dict[str, Any]
    folder: store.RunFolder | None


@contextmanager
def _following(quiet: bool, folder: store.RunFolder | None = None) -> Iterator[_Search]:
    """Yield what a search needs; when interrupted at once, say what is left of it."""
    decided = [e for e in folder.events() if isinstance(e, EdgeTested)] if folder else []
    search = _Search(None, {}, folder)
    try:
        with SearchProgress(quiet=quiet) as progress, _interruptible() as interrupted:
            from pahq.runs.pipeline import Session

            if decided and folder:
                total = int(folder.records()[0][0].get("edges", 0))
                progress.resumed(total=total, kept=sum(e.kept for e in decided))
            search.session = Session()
            search.callbacks = {
                "should_stop": lambda: bool(interrupted),
                "on_event": progress.event,
                "on_notice": progress.notice,
            }
            yield search
    except KeyboardInterrupt:
        _interrupted(search.folder)


def _interrupted(folder: store.RunFolder | None) -> NoReturn:
    if folder is None:
        typer.echo("Interrupted before the search began; there is no run to go on with.", err=True)
    else:
        typer.echo(f"Interrupted; go on with: pahq resume {folder.path}", err=True)
    raise typer.Exit(INTERRUPTED)


def _report(folder: store.RunFolder, *, as_json: bool) -> None:
    summary = folder.summary or {}
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(folder, summary)
    if summary.get("status") == "stopped":
        _interrupted(folder)


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Let Ctrl-C or a polite kill end the search between two decisions; a second one at once."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_home() -> None:
    home = runs_dir()
    there = next((path for path in (home, *home.parents) if path.exists()), home)
    if not there.is_dir():
        raise BadRunFolder(
            f"There can be no runs in {home}.",
            why=f"{there} is no folder",
            fix="set PAHQ_HOME to a folder that can be written",
        )


def _damaged(folder: store.RunFolder) -> bool:
    return not folder.summary and (folder.path / "summary.json").exists()


def _row(folder: store.RunFolder) -> dict[str, Any]:
    try:
        config = folder.config.model_dump(
            include={"model", "task", "policy", "threshold", "metric", "method"}
        )
    except UsageError as error:
        return {"id": folder.id, "status": "damaged", "why": error.what}
    summary, state = folder.summary or {}, folder.state
    status = "running" if state and not state.over else summary.get("status", "interrupted")
    if state and state.phase == "failed":
        status = "failed"
    if _damaged(folder):
        status = "damaged"
    counts = {"edges_kept": int, "edges_total": int, "edges_decided": int}
    kinds = {**counts, "damage": (int, float), "unit": str}
    found = {
        key: summary[key] if isinstance(summary.get(key), kind) else None
        for key, kind in kinds.items()
    }
    return {"id": folder.id, "status": str(status), **config, **found, "path": str(folder.path)}
