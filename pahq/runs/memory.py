"""Peak memory, measured by the operating system: resident bytes of this process."""

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


class PeakMemory:
    """Peak since ``reset``. Where the system cannot tell (not Linux), the largest sample seen."""

    def __init__(self) -> None:
        self._sampled = 0
        self._from_system = self.reset()

    def reset(self) -> bool:
        """Start a new peak; return whether the system keeps it for us."""
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
        """Largest resident memory since ``reset``, in bytes."""
        self.sample()
        if self._from_system:
            found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
            if found:
                return max(self._sampled, int(found[1]) * 1024)
        return self._sampled
