"""The ``pahq`` command. Exit 0 done, 1 the run failed, 2 wrong usage or input, 130 interrupted."""

import os
import subprocess
import sys
from typing import Annotated, NoReturn

import typer

import pahq
from pahq.cli import bench, catalogs, comparing, runs
from pahq.cli.usage import Commands, WrongUsage, explained
from pahq.errors import PahqError, UsageError
from pahq.paths import part

app = typer.Typer(
    cls=Commands,
    pretty_exceptions_enable=False,
    add_completion=False,
)
catalogs.add_to(app)
runs.add_to(app)
comparing.add_to(app)
bench.add_to(app)


def _print_version(wanted: bool) -> bool:
    if wanted:
        print(f"pahq {pahq.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print pahq's version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Find the circuit that does a task inside a transformer."""


@app.command("app", context_settings={"ignore_unknown_options": True})
def open_app(
    options: Annotated[list[str] | None, typer.Argument(help="Options for Streamlit.")] = None,
) -> None:
    """Open the app in a browser; further options go to Streamlit."""
    command = [sys.executable, "-m", "streamlit", "run", str(part("app") / "main.py")]
    command += options or []
    if os.name == "nt":  # whose exec starts another process, for which no shell waits
        raise typer.Exit(subprocess.call(command))
    # This process becomes the server: whoever ends it ends the app, with nothing left behind.
    os.execv(command[0], command)


def main() -> None:
    """Run the command line; a mistake gets one message, never a traceback."""
    try:
        arguments = sys.argv[1:] or ["--help"]
        sys.exit(app(arguments, prog_name="pahq", standalone_mode=False))
    except WrongUsage as error:
        _refuse(explained(error))
    except PahqError as error:
        _refuse(error)
    except KeyboardInterrupt:
        print("pahq: interrupted", file=sys.stderr)
        sys.exit(runs.INTERRUPTED)
    except BrokenPipeError:  # `pahq show ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(
            UsageError(
                f"{error.filename} cannot be used.",
                why=error.strerror or str(error),
                fix="check the path, and that you may read and write there",
            )
        )


def _refuse(error: PahqError) -> NoReturn:
    print(f"pahq: {error}", file=sys.stderr)
    sys.exit(error.exit_status)
