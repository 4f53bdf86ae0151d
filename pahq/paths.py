"""Where pahq's own files lie: beside the package in a checkout, inside it when installed."""

import os
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).parent


def part(name: str) -> Path:
    """Return the folder ``app`` or ``assets``."""
    bundled = PACKAGE / "_bundle" / name
    return bundled if bundled.is_dir() else PACKAGE.parent / name


def models_dir() -> Path:
    """Return the folder of the shipped models."""
    return part("assets") / "models"


def recordings_dir() -> Path:
    """Return the folder of the shipped recorded runs."""
    return part("assets") / "recordings"


def runs_dir() -> Path:
    """Return the folder of this user's runs; ``PAHQ_HOME`` moves it."""
    home = os.environ.get("PAHQ_HOME")
    base = Path(home).expanduser() if home else Path(platformdirs.user_data_dir("pahq"))
    return base / "runs"
