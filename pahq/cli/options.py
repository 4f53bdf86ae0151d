"""Flags from the fields of ``RunConfig``: a new knob is a new flag without a line here."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args

import typer

from pahq import catalog
from pahq.errors import UsageError
from pahq.runs.config import RunConfig, knobs, make_config, read_settings

AUTOMATIC = "pahq-auto"  # chooses its formats, by these settings
CHOSEN_BY = {"noise_budget", "threshold", "metric", "model", "task", "examples", "seed", "device"}


def with_knobs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one flag for each knob; it receives those used as a dict ``settings``."""
    own = list(inspect.signature(command).parameters.values())[1:]

    def wrapped(**values: Any) -> None:
        names = knobs()
        settings = {k: v for k, v in values.items() if k in names and v is not None}
        command(settings, **{k: v for k, v in values.items() if k not in names})

    flags = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                _type_of(name),
                typer.Option(_flag(name), metavar=_metavar(name), help=_help(name)),
            ],
        )
        for name in knobs()
    ]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    parameters = [*flags, *own]
    made: Any = functools.update_wrapper(wrapped, command, assigned=("__doc__", "__name__"))
    made.__signature__ = inspect.Signature(parameters)
    made.__annotations__ = {p.name: p.annotation for p in parameters}
    return made


def config_from(settings: dict[str, Any], file: Path | None) -> RunConfig:
    """Return the settings of a file with the flags used on top, or of the flags alone.

    Raises:
        UsageError: if a setting is missing or cannot be used.
    """
    if file is not None:
        from pahq.tasks.source import is_file

        base = read_settings(file)
        if settings.keys() & {"model"}:
            base["model_hash"] = None
        if settings.keys() & {"model", "task", "examples", "seed"}:
            base["task_hash"] = None
        tasks = (str(base.get("task")), str(settings.get("task")))
        if "task" in settings and any(map(is_file, tasks)):
            base["examples"] = None  # the number was that of another file's rows
        automatic = base.get("policy") == AUTOMATIC
        if "policy" in settings or (automatic and settings.keys() & CHOSEN_BY):
            base["policy_recipe"] = None
        return make_config(**{**base, **settings}, source=str(file))
    for name in ("model", "task", "threshold"):
        if name not in settings:
            raise UsageError(
                f"The option --{name} is missing.",
                why="a run needs a model, a task and a threshold",
                fix="for example: pahq run --model tiny-gpt --task ioi --threshold 0.01",
            )
    return make_config(**settings)


def _type_of(name: str) -> Any:
    # Text, so that a number of "abc" gets the same message as one that is too large.
    return bool | None if _kind(name) is bool else str | None


def _metavar(name: str) -> str | None:
    return {bool: None, int: "INTEGER", float: "NUMBER"}.get(_kind(name), "TEXT")


def _kind(name: str) -> Any:
    annotation = RunConfig.model_fields[name].annotation
    return next((part for part in get_args(annotation) if part is not NoneType), annotation)


def _flag(name: str) -> str:
    flag = f"--{name.replace('_', '-')}"
    if _kind(name) is not bool:
        return flag
    return f"{flag}/--{_extra(name).get('negation', f'no-{flag[2:]}')}"


def _extra(name: str) -> dict[str, Any]:
    extra = RunConfig.model_fields[name].json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _help(name: str) -> str:
    field = RunConfig.model_fields[name]
    text = field.description or ""
    choices = str(_extra(name).get("choices", ""))
    if choices:
        text += f" One of: {', '.join(e.name for e in getattr(catalog, choices))}."
    if _kind(name) is bool:
        off = next(iter(_flag(name).split("/")[1:]))
        text += f" {off} is the default."
    if field.default not in (None, False) and not field.is_required():
        text += f" {field.default} is the default."  # in brackets it would be markup
    return text
