"""Flags and a config file together: what is taken over, what no longer fits."""

import json

import pytest

from pahq.cli.options import _flag, config_from
from pahq.errors import UsageError
from pahq.runs.config import knobs, make_config


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


def test_a_config_without_a_threshold_names_the_file_and_takes_the_flag(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": "tiny-gpt", "task": "ioi"}))
    with pytest.raises(UsageError, match=r"config\.json: threshold is missing") as error:
        config_from({}, path)
    assert "--threshold" in error.value.fix
    assert config_from({"threshold": "0.5"}, path).threshold == 0.5


def test_a_config_without_a_task_is_refused_like_one_without_a_threshold(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": "tiny-gpt", "threshold": 1}))
    with pytest.raises(UsageError, match="task is missing"):
        config_from({}, path)
    assert config_from({"task": "mine.json"}, path).task == "mine.json"


def test_numbers_are_read_from_text_as_the_command_line_gives_it():
    given = {"model": "tiny-gpt", "task": "ioi", "threshold": "0.01", "absolute": True}
    config = config_from({**given, "examples": "7", "memory_limit": "0.5"}, None)
    assert (config.threshold, config.examples, config.memory_limit) == (0.01, 7, 0.5)
    assert config.absolute


RECIPE = {"input": "fp32", "heads": "int8", "mlps": "int8", "logits": "int8"}


@pytest.mark.parametrize(
    "setting",
    [{"noise_budget": "1e-6"}, {"threshold": "0.5"}, {"model": "attn-2l"}, {"task": "pronoun"},
     {"examples": "3"}, {"metric": "nll"}],
    ids=str,
)  # fmt: skip
def test_formats_that_were_chosen_are_chosen_anew_for_other_settings(file, setting):
    path = file(policy="pahq-auto", policy_recipe=RECIPE)
    assert config_from({}, path).policy_recipe == RECIPE
    assert config_from({"engine": "reference", "threads": "2"}, path).policy_recipe == RECIPE
    assert config_from(setting, path).policy_recipe is None


def test_the_recipe_of_a_policy_file_is_kept_unless_another_policy_is_named(file):
    path = file(policy="mine.json", policy_recipe=RECIPE)
    assert config_from({"threshold": "0.5", "model": "attn-2l"}, path).policy_recipe == RECIPE
    assert config_from({"policy": "pahq-int8"}, path).policy_recipe is None


def test_every_switch_has_a_negation_of_its_own(pahq, file, tmp_path):
    """--signed once switched off whatever stood last, or both."""
    switches = [name for name, field in knobs().items() if field.annotation is bool]
    flags = [_flag(name).split("/")[1] for name in switches]
    assert dict(zip(switches, flags, strict=True))["absolute"] == "--signed"
    assert len(set(flags)) == len(flags) > 1
    path = str(file(task="induction", model="hand-induction", absolute=True, native_only=True))
    out = tmp_path / "run"
    done = pahq("run", "--config", path, "--signed", "--examples", "4", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "config.json").read_text())
    assert (found["absolute"], found["native_only"]) == (False, True)


@pytest.mark.parametrize("command", [["run"], ["models"], ["compare"], ["tasks"], ["bench"], []])
def test_switches_read_as_switches_in_help(pahq, command):
    shown = pahq(*command, "--help").stdout
    assert "--help" in shown
    assert "bool" not in shown.lower()


def test_help_says_what_a_switch_does_when_it_is_off(pahq, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = pahq("run", "--help").stdout
    assert "--emulate is the default." in shown
    assert "fast is the default." in shown
