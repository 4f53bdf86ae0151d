"""``python -m pahq`` is the ``pahq`` command."""

from pahq.cli import main

main()
