"""FP32 weights that lie in a mapped file: memory they take only while they are in use.

safetensors maps a model's files, so a weight becomes resident when it is read. What a search in low
precision does not need for a while is given back to the system, and read again from the file (or
from the system's copy of it) when its component comes into focus. Linux only; elsewhere the weights
stay.
"""

import ctypes
import mmap
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

SUFFIX = ".safetensors"
_SMAPS = Path("/proc/self/smaps")
_HEADER = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)")
_DONTNEED = 4  # Linux' MADV_DONTNEED
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


@dataclass(frozen=True)
class Pages:
    """Parts of the address space into which weights' files are mapped.

    Attributes:
        ranges: start and end of each.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def find(cls, folder: Path | None = None) -> "Pages":
        """Return the mapped weights of this process.

        A mapping that was written to is left out: the file no longer holds what it holds. (Of a
        file that was written a moment ago all pages are dirty, and can be read again.)

        Args:
            folder: a model's directory; its weights count under whatever name they really lie:
                those in the Hugging Face cache are links to files named by their hash.
        """
        files = folder.glob(f"*{SUFFIX}") if folder is not None else ()
        real = {str(file.resolve()) for file in files}
        return cls(
            tuple(
                (start, end)
                for start, end, sizes in _mapped(
                    lambda start, name: name.endswith(SUFFIX) or name in real
                )
                if not sizes.get("Anonymous") and not sizes.get("Swap")
            )
        )

    def release(self, weights: Iterable[Tensor]) -> None:
        """Give back the memory of weights; what is not mapped stays."""
        if not self.ranges:
            return
        for weight in weights:
            first, last = _extent(weight)
            for start, end in self.ranges:
                if start <= first and last <= end:
                    low = first // mmap.PAGESIZE * mmap.PAGESIZE
                    _madvise(low, min(end, last) - low)

    def resident_bytes(self) -> int:
        """Return how much of the mapped weights is in memory now."""
        if not self.ranges:
            return 0
        known = {start for start, _ in self.ranges}
        found = _mapped(lambda start, name: start in known)
        return sum(sizes.get("Rss", 0) for _, _, sizes in found)


def _mapped(wanted: Callable[[int, str], bool]) -> Sequence[tuple[int, int, dict[str, int]]]:
    """Return start, end and sizes in bytes of private mappings, wanted by start and file."""
    if not sys.platform.startswith("linux") or not _SMAPS.exists():
        return ()
    found: list[tuple[int, int, dict[str, int]]] = []
    inside = False
    for line in _SMAPS.read_text(errors="replace").splitlines():
        header = _HEADER.match(line)
        if header:
            inside = header[3].endswith("p") and wanted(int(header[1], 16), header[4])
            if inside:
                found.append((int(header[1], 16), int(header[2], 16), {}))
        elif inside and line.endswith("kB"):
            name, _, size = line.partition(":")
            found[-1][2][name] = 1024 * int(size.split()[0])
    return found


def _extent(weight: Tensor) -> tuple[int, int]:
    """Return the first byte of a tensor and the one behind its last."""
    reach = sum((n - 1) * step for n, step in zip(weight.shape, weight.stride(), strict=True))
    first = weight.data_ptr()
    return first, first + (reach + 1) * weight.element_size()


def _madvise(start: int, length: int) -> None:
    # Advice: where the system does not take it, the pages stay.
    ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _DONTNEED)


def trim_heap() -> None:
    """Give memory that was freed back to the system, where the C library (glibc) can."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def keep_heap(spare: int) -> None:
    """Let what a test frees serve for the next one, where the C library (glibc) can.

    By itself it gives larger blocks back at once, and a search takes and frees MBs all the time:
    every page of them would be mapped and cleared anew.

    Args:
        spare: bytes that may stay behind the last block in use.
    """
    option = _of_glibc("mallopt")
    if option is not None:
        option(_MMAP_THRESHOLD, 32 << 20)  # more than it admits has no effect
        option(_TRIM_THRESHOLD, spare)


def _of_glibc(name: str) -> Callable[..., int] | None:
    return None if sys.platform == "win32" else getattr(ctypes.CDLL(None), name, None)
