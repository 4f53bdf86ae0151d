"""Where measurements are kept: one small JSON each, with all that a reader needs to judge it."""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import torch

from pahq.errors import UsageError
from pahq.runs.environment import available_cores, environment
from pahq.runs.pipeline import find_device

ON_GPU = "-cuda"


def record(name: str, *, command: str, device: str = "cpu", **found: Any) -> dict[str, Any]:
    """Return a measurement with the machine, the versions, the commit and the command.

    On a GPU its name ends with ``-cuda``: each kind of device keeps its own.
    """
    where = find_device(device)
    if where.type == "cuda":
        name += ON_GPU
    if torch.cuda.is_available():  # there it is not the device that would be taken
        command += f" --device {where.type}"
    torch.set_num_threads(available_cores())  # as in each measurement
    return {
        "name": name,
        "date": date.today().isoformat(),
        "command": command,
        "environment": environment(where),
        **found,
    }


def write(result: dict[str, Any], folder: Path) -> Path:
    """Write a measurement, replacing an earlier one of its name.

    Raises:
        UsageError: if the folder cannot be written.
    """
    path = folder / f"{result['name']}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written.",
            why=error.strerror or str(error),
            fix="choose another --to",
        ) from None
    return path


def read(name: str, folder: Path) -> dict[str, Any]:
    """Return a measurement.

    Raises:
        UsageError: if there is none of this name.
    """
    try:
        return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"There is no measurement '{name}' in {folder}.",
            why=str(error),
            fix="make it with `pahq bench`, or name its folder",
        ) from None


def say(sentence: str) -> None:
    """Tell how far a benchmark is."""
    print(sentence, file=sys.stderr, flush=True)
