"""pahq: find the circuit that does a task inside a transformer, exactly and fast.

``run`` searches, ``resume`` goes on with a search that was interrupted, ``load`` opens a run.
Importing pahq does not import torch.
"""

import os

# Spinning threads cost a search on a busy machine a factor of a hundred (measured, 2 cores): every
# small product waits for a sibling that is not running. Must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# What is compiled for a shape of products takes up to half a MB, and oneDNN and torch each keep it
# for the last 1,024 shapes. A search meets hundreds, and comes back to few of them.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
os.environ.setdefault("LRU_CACHE_CAPACITY", "128")

from pahq.library import Run, load, resume, run

__all__ = ["Run", "load", "resume", "run"]
__version__ = "0.1.0"
