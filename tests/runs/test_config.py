import json
import math

import pytest

from pahq.errors import BadThreshold, UnknownName, UsageError
from pahq.runs.config import knobs, make_config, read_config

GOOD = {"model": "tiny-gpt", "task": "ioi", "threshold": 0.01}


def test_a_config_reads_back_as_it_was_written(tmp_path):
    config = make_config(**GOOD, policy="pahq-int8", examples=7)
    path = tmp_path / "config.json"
    path.write_text(config.as_json())
    assert read_config(path) == config


@pytest.mark.parametrize("value", [0, -1, "nan", math.inf, "abc", None, True, ""])
def test_a_threshold_that_decides_nothing_is_refused(value):
    with pytest.raises(BadThreshold, match="not a positive number"):
        make_config(**{**GOOD, "threshold": value})


@pytest.mark.parametrize(
    ("setting", "near"),
    [({"metric": "kll"}, "kl"), ({"order": "nearst"}, "nearest"), ({"engine": "brigde"}, "bridge")],
)
def test_an_unknown_name_lists_the_nearest(setting, near):
    with pytest.raises(UnknownName, match=f"did you mean {near}"):
        make_config(**GOOD, **setting)


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(UsageError, match="no setting called 'treshold'"):
        make_config(**GOOD, treshold=1)


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        ({"examples": 0}, "a whole number from 1 to 100,000"),
        ({"examples": "abc"}, "a whole number from 1 to 100,000"),
        ({"seed": -1}, "a whole number from 0 and below 1,000,000"),
        ({"threads": 0}, "a whole number from 1"),
        ({"memory_limit": 0}, "a number above 0"),
        ({"absolute": "perhaps"}, "true or false"),
        ({"metric": 5}, "a text"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_can_be(setting, allowed):
    [name] = setting
    with pytest.raises(UsageError, match=name) as error:
        make_config(**GOOD, **setting)
    assert f"give {allowed}. " in error.value.fix


def test_a_missing_setting_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": "tiny-gpt", "task": "ioi"}))
    with pytest.raises(UsageError, match=r"config\.json: threshold is missing"):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "not JSON"), ("[]", "no settings"), (json.dumps({**GOOD, "format_version": 2}), "2")],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, text, why):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        read_config(path)


def test_a_config_of_an_earlier_version_with_its_number_of_examples_loads(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**GOOD, "format_version": 1, "examples": 50}))
    assert read_config(path).examples == 50


def test_every_knob_says_what_it_does():
    assert all(field.description for field in knobs().values())
