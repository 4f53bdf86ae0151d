"""Flags and a config file together: what is taken over, what no longer fits."""

import pytest

from pahq.cli.options import config_from
from pahq.runs.config import make_config


@pytest.fixture
def file(tmp_path):
    """Return a function that writes the config.json of an earlier run."""

    def write(**settings):
        path = tmp_path / "config.json"
        good = {"model": "tiny-gpt", "task": "ioi", "threshold": 0.01}
        path.write_text(make_config(**{**good, **settings}).as_json())
        return path

    return write


@pytest.mark.parametrize(
    ("before", "after", "examples"),
    [("ioi", "mine.json", None), ("mine.json", "ioi", None), ("ioi", "pronoun", 20)],
)
def test_a_number_of_rows_is_not_carried_over_to_another_file(file, before, after, examples):
    path = file(task=before, examples=20)
    assert config_from({"task": after}, path).examples == examples
    assert config_from({"task": after, "examples": 7}, path).examples == 7
    assert config_from({}, path).examples == 20
