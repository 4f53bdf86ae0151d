"""Make assets/recordings: real runs of the shipped models, which the app shows before any other.

    python scripts/make_recordings.py

The first by name is on the app's first screen.
"""

import shutil
import sys

from pahq.discovery.events import EdgeTested
from pahq.paths import recordings_dir
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session

RECORDINGS = {
    "1-ioi": {"model": "tiny-gpt", "task": "ioi", "policy": "pahq-int8"},
    "2-induction": {"model": "attn-2l", "task": "induction", "policy": "fp32"},
    "3-greater-than": {"model": "tiny-gpt", "task": "greater-than", "policy": "pahq-fp8"},
    "4-docstring": {"model": "tiny-gpt", "task": "docstring", "policy": "pahq-int8"},
    "5-by-hand": {"model": "hand-induction", "task": "induction", "policy": "fp32"},
}


def main() -> None:
    session = Session()
    for name, settings in RECORDINGS.items():
        out = recordings_dir() / name
        shutil.rmtree(out, ignore_errors=True)
        folder = session.start(make_config(**settings, threshold=0.01), out=out)
        tested = sum(isinstance(e, EdgeTested) and not e.skipped for e in folder.events())
        summary = folder.summary or {}
        print(
            f"{name}: {summary['edges_kept']} of {summary['edges_total']} edges, "
            f"{tested} tests in {summary['wall_s']:.1f} s",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
