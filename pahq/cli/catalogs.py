"""``pahq models``, ``tasks``, ``policies`` ...: what there is to choose from."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from pahq import catalog
from pahq.catalog import Entry, ModelEntry, megabytes
from pahq.cli.console import on_stdout
from pahq.cli.usage import Commands
from pahq.models.locate import is_here

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add a command for each list of the catalog."""
    for name, entries, what in (
        ("policies", catalog.POLICIES, "Precision policies: which component in which format."),
        ("methods", catalog.METHODS, "Methods of choosing edges."),
        ("metrics", catalog.METRICS, "Metrics: what counts as damage. Higher is worse."),
    ):
        app.command(name, help=what)(_lister(entries))
    app.command("models")(list_models)
    app.command("formats")(list_formats)
    tasks = typer.Typer(
        cls=Commands, help="Tasks, and examples of their prompts.", no_args_is_help=False
    )
    tasks.callback(invoke_without_command=True)(_list_tasks)
    tasks.command("show")(show_task)
    app.add_typer(tasks, name="tasks")


def _lister(entries: Sequence[Entry]) -> Any:
    def command(as_json: AsJson = False) -> None:
        print_entries(entries, as_json=as_json)

    return command


def _list_tasks(context: Any, as_json: AsJson = False) -> None:
    if context.invoked_subcommand is not None:
        return
    models = {entry.name: catalog.models_for(entry.name) for entry in catalog.TASKS}
    if as_json:
        rows = [entry.as_dict() | {"models": models[entry.name]} for entry in catalog.TASKS]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    shown = [(e.name, ", ".join(models[e.name]), e.description) for e in catalog.TASKS]
    _print_table(("name", "models that can do it", "description"), shown)


# typer looks for this annotation but hands over the class below it, which type checks refuse.
_list_tasks.__annotations__["context"] = typer.Context


def list_models(as_json: AsJson = False) -> None:
    """Models: which are here, their size, and the memory a search takes beside the libraries."""
    if as_json:
        rows = [
            entry.as_dict()
            | {
                "state": _state(entry),
                "size_bytes": entry.fp32_bytes,
                "memory_bytes": entry.memory_bytes,
            }
            for entry in catalog.MODELS
        ]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    shown = [
        (e.name, _state(e), megabytes(e.fp32_bytes), f"about {megabytes(e.memory_bytes)}",
         e.description)
        for e in catalog.MODELS
    ]  # fmt: skip
    _print_table(("name", "state", "size", "search takes", "description"), shown)


def _state(entry: ModelEntry) -> str:
    if is_here(entry):
        return "ready"
    return "missing" if entry.source == "shipped" else "needs download"


def list_formats(as_json: AsJson = False) -> None:
    """Number formats: which of them this machine multiplies in, and how much faster than FP32."""
    import torch

    from pahq.precision.formats import find_format
    from pahq.precision.gain import gain
    from pahq.precision.native import describe
    from pahq.runs.environment import available_cores

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(available_cores())
    found = []
    for entry in catalog.FORMATS:
        fmt = find_format(entry.name)
        here = {
            "device": device.type,
            "here": describe(fmt, device.type),
            "gain": gain(fmt, device),
        }
        found.append(entry.as_dict() | here)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    shown = [
        (row["name"], str(row["bits"]), row["here"], f"{row['gain']:.1f}x", row["description"])
        for row in found
    ]
    columns = ("name", "bits", f"on this {device.type}", "against FP32", "description")
    _print_table(columns, shown)


def show_task(
    name: Annotated[str, typer.Argument(metavar="TASK", help="A task's name, or a task file.")],
    model: Annotated[str, typer.Option(help="Whose tokenizer to use.")] = "tiny-gpt",
    examples: Annotated[int, typer.Option(min=1, help="Number of prompt pairs.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Which pairs are drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show prompt pairs of a task as a model reads them."""
    from pahq.models.locate import find_context, find_tokenizer
    from pahq.tasks.preview import preview

    tokenizer, context = find_tokenizer(model), find_context(model)
    shown = preview(name, tokenizer, count=examples, seed=seed, context=context)
    if as_json:
        print(json.dumps([pair.as_dict() for pair in shown], indent=2, ensure_ascii=False))
        return
    console = on_stdout()
    for pair in shown:
        console.print(f"[bold]clean  [/] {_marked(pair.clean, pair.differs)}", soft_wrap=True)
        console.print(f"[bold]corrupt[/] {_marked(pair.corrupt, pair.differs)}", soft_wrap=True)
        for label, words in (("answers", pair.answers), ("wrong", pair.wrong)):
            more = f" and {len(words) - 8} more" if len(words) > 8 else ""
            listed = ", ".join(repr(word) for word in words[:8])
            console.print(f"[bold]{label:<7}[/] {listed}{more}", soft_wrap=True)
        console.print()


def print_entries(entries: Sequence[Entry], *, as_json: bool) -> None:
    """Print entries as a table, or as a JSON array of ``{name, title, description, ...}``."""
    if as_json:
        print(json.dumps([entry.as_dict() for entry in entries], indent=2, ensure_ascii=False))
        return
    extra = [key for key in ("unit",) if hasattr(entries[0], key)]
    rows = [(e.name, *(str(getattr(e, key)) for key in extra), e.description) for e in entries]
    _print_table(("name", *extra, "description"), rows)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column not in ("description", "models that can do it"))
    for row in rows:
        table.add_row(*row)
    on_stdout().print(table)


def _marked(words: tuple[str, ...], differs: tuple[bool, ...]) -> str:
    from rich.markup import escape

    return "".join(
        f"[reverse]{escape(word)}[/]" if changed else escape(word)
        for word, changed in zip(words, differs, strict=True)
    )
