"""The tables of README and docs are those of the results files."""

from pathlib import Path

import pytest

from pahq.bench.report import PAGES, TABLES, written
from pahq.bench.results import read, write
from pahq.errors import UsageError

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.mark.parametrize("name", PAGES)
def test_no_table_is_stale(name):
    text = (ROOT / name).read_text()
    assert "<!-- bench:" in text
    assert written(text, RESULTS) == text, "run `pahq bench report`"


def test_an_unknown_table_is_named():
    with pytest.raises(UsageError, match="no table 'nothing'"):
        written(page("nothing"), RESULTS)


def test_a_missing_measurement_is_named(tmp_path):
    with pytest.raises(UsageError, match="no measurement 'engine-shipped'"):
        written(page("engine-shipped"), tmp_path)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_gpus_table_is_that_of_its_own_measurement(name, tmp_path):
    found = read(name, RESULTS)
    found["environment"]["device"] = "NVIDIA H100"
    write({**found, "name": f"{name}-cuda"}, tmp_path)
    text = written(page(f"{name}-cuda"), tmp_path)
    assert "on one NVIDIA H100" in text
    assert "libraries" not in text  # a GPU holds nothing of them that torch would know of
    assert len(set(map(cells, text.splitlines()[1:4]))) == 1


def page(name):
    return f"<!-- bench:{name} -->\n<!-- /bench -->"


def cells(line):
    return line.count("|")
