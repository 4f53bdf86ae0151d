"""environment.json: what a run depends on beyond its settings."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from typing import Any

import psutil
import torch

from pahq import __version__
from pahq.paths import PACKAGE


def environment(device: torch.device) -> dict[str, Any]:
    """Return what the run depends on beyond its settings."""
    packages = ("torch", "transformer_lens", "transformers", "numpy", "safetensors", "tokenizers")
    return {
        "pahq": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "git": _git_commit(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
    }


def _processor() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor()


def _git_commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "-C", str(PACKAGE), "rev-parse", "HEAD"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def available_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
