"""The tables of README and docs are those of the results files."""

from pathlib import Path

import pytest

from pahq.bench.report import PAGES, TABLES, written
from pahq.errors import UsageError

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.mark.parametrize("page", PAGES)
def test_no_table_is_stale(page):
    text = (ROOT / page).read_text()
    assert "<!-- bench:" in text
    assert written(text, RESULTS) == text, "run `pahq bench report`"


def test_an_unknown_table_is_named():
    with pytest.raises(UsageError, match="no table 'nothing'"):
        written("<!-- bench:nothing -->\n<!-- /bench -->", RESULTS)


def test_a_missing_measurement_is_named(tmp_path):
    with pytest.raises(UsageError, match="no measurement 'engine-shipped'"):
        TABLES["engine-shipped"](tmp_path)
