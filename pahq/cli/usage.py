"""Wrong usage of the command line in our own words: what, why and how to fix it."""

import difflib
from typing import Any

import typer
from typer.core import TyperGroup

from pahq import catalog
from pahq.catalog import Entry
from pahq.errors import UsageError

# Newer typers carry click inside, older ones import it: this is its error in both.
WrongUsage: Any = typer.BadParameter.__base__


class Commands(TyperGroup):
    """Commands that answer an unknown name with the nearest ones."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first of ``args`` names.

        Raises:
            UnknownName: naming the nearest commands.
        """
        names = [Entry(name, "", "") for name in self.commands]
        catalog.find(names, args[0], kind=f"command of `{ctx.command_path}`")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name; its help shows switches without a type."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and not isinstance(command, Commands):
            _untyped(command.get_params(ctx))
        return command

    def get_params(self, ctx: Any) -> Any:
        """Return the group's own parameters."""
        return _untyped(super().get_params(ctx))


def _untyped(parameters: Any) -> Any:
    """Return the parameters; a switch no longer says ``<bool>``, which asks for a value."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def explained(error: Any) -> UsageError:
    """Return our message for an error of click's, whose kinds are told apart by name."""
    command = error.ctx.command_path if error.ctx else "pahq"
    parameter, kind = getattr(error, "param", None), type(error).__name__
    if kind == "NoSuchOption":
        return _no_option(command, error)
    if kind == "BadOptionUsage":
        return _bad_option(error)
    if kind == "MissingParameter" and parameter is not None:
        name = _name(parameter)
        given = name if parameter.param_type_name == "argument" else f"{name} ..."
        return UsageError(
            f"`{command}` needs {name}.",
            why=f"it is not given: {_described(parameter)}",
            fix=f"write `{command} {given}`; {_help(command)}",
        )
    if kind == "BadParameter" and parameter is not None:
        return UsageError(
            f"`{command}`: the value of {_name(parameter)} cannot be used.",
            why=_lowered(error.message),
            fix=f"`{command} --help` says of it: {_described(parameter)}",
        )
    return UsageError(
        f"`{command}` was called wrongly.",
        why=_lowered(error.format_message()),
        fix=_help(command),
    )


def _bad_option(error: Any) -> UsageError:
    name = error.option_name
    if "not take" in error.message:
        return UsageError(
            f"The option {name} takes no value.", why="it is a switch", fix=f"write {name} alone"
        )
    return UsageError(
        f"The option {name} has no value.",
        why="nothing follows it",
        fix=f"write a value behind {name}",
    )


def _no_option(command: str, error: Any) -> UsageError:
    parameters = error.ctx.command.params if error.ctx else []
    options = [name for p in parameters for name in (*p.opts, *p.secondary_opts) if name[:1] == "-"]
    near = difflib.get_close_matches(error.option_name, options, n=3, cutoff=0.5)
    return UsageError(
        f"`{command}` has no option {error.option_name}.",
        why=f"its options are: {', '.join([*options, '--help'])}",
        fix=f"did you mean {' or '.join(near)}?" if near else _help(command),
    )


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return (parameter.metavar or parameter.name).upper()
    return max(parameter.opts, key=len)


def _described(parameter: Any) -> str:
    return _lowered(getattr(parameter, "help", None) or "it has no default")


def _help(command: str) -> str:
    return f"`{command} --help` lists what it takes"


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")
