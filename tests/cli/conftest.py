"""The command in this process, through its real entry point."""

import sys
from dataclasses import dataclass

import pytest

from pahq.cli import main


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def pahq(capsys, monkeypatch):
    """Return a function that runs the command with these arguments."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["pahq", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def refused(pahq):
    """Return a function that runs a command, which must be refused with one whole message."""

    def call(*arguments):
        done = pahq(*arguments)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("pahq: ")
        assert done.stderr.count("  why: ") == done.stderr.count("  fix: ") == 1, done.stderr
        return done.stderr

    return call
