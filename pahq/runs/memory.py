"""Peak memory: of this process, as the operating system measures it; on a GPU, as torch does."""

import re
from pathlib import Path

import psutil
import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Return the memory this process holds now."""
    return int(psutil.Process().memory_info().rss)


def free_bytes(device: torch.device) -> int:
    """Return the memory that can be had on a device without taking any from others."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def held_bytes(device: torch.device) -> int:
    """Return the memory that this process holds now, of a device or of the system for it."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return resident_bytes()


class PeakMemory:
    """Peak since ``reset``. Where the system cannot tell (not Linux), the largest sample seen.

    Args:
        device: a GPU, whose memory is what counts; anything else stands for the process.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._gpu = device if device is not None and device.type == "cuda" else None
        self._sampled = 0
        self._from_system = self.reset()

    def reset(self) -> bool:
        """Start a new peak; return whether the system keeps it for us."""
        if self._gpu is not None:
            torch.cuda.reset_peak_memory_stats(self._gpu)
            return True
        self._sampled = resident_bytes()
        try:
            _CLEAR.write_text("5")  # Linux: resets VmHWM to what is resident now
        except OSError:
            return False
        return _STATUS.exists()

    def sample(self) -> None:
        """Look at the memory held now."""
        self._sampled = max(self._sampled, resident_bytes())

    @property
    def peak(self) -> int:
        """Largest memory since ``reset``, in bytes."""
        if self._gpu is not None:
            return int(torch.cuda.max_memory_allocated(self._gpu))
        self.sample()
        if self._from_system:
            found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
            if found:
                return max(self._sampled, int(found[1]) * 1024)
        return self._sampled
