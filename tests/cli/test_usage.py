"""Wrong usage is one message in our own form: what, why, fix; never a box of the library's."""

import pytest

import pahq as library

GOOD = ["run", "--model", "tiny-gpt", "--task", "ioi", "--threshold", "0.01"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], ["no command of `pahq` called 'rnu'", "did you mean run"]),
        (["tasks", "shwo"], ["no command of `pahq tasks` called 'shwo'", "did you mean show"]),
        (["run", "--exmples", "3"], ["`pahq run` has no option --exmples", "mean --examples"]),
        (["models", "--jsn"], ["no option --jsn", "did you mean --json"]),
        (["models", "--zzz"], ["no option --zzz", "its options are: --json, --help"]),
        (["run", "--model"], ["--model has no value", "nothing follows it"]),
        (["models", "--json=3"], ["--json takes no value", "write --json alone"]),
        (["show"], ["`pahq show` needs RUN", "folder or id", "write `pahq show RUN`"]),
        (["resume"], ["`pahq resume` needs RUN", "pahq list"]),
        (["tasks", "show"], ["`pahq tasks show` needs TASK", "task file"]),
        (["export", "x"], ["`pahq export` needs --to", ".graphml"]),
        (["show", "a", "b"], ["extra argument", "`pahq show --help`"]),
        (["show", "x", "--edges", "abc"], ["the value of --edges", "strongest first"]),
        (["show", "x", "--edges", "-1"], ["the value of --edges", "strongest first"]),
        (["tasks", "show", "ioi", "--examples", "0"], ["the value of --examples"]),
        ([*GOOD, "--examples", "abc"], ["examples = 'abc'", "a whole number from 1 to 100,000"]),
        ([*GOOD, "--examples", "0"], ["examples = '0'", "a whole number from 1 to 100,000"]),
        ([*GOOD, "--seed", "-1"], ["seed = '-1'", "a whole number from 0 and below 1,000,000"]),
        ([*GOOD, "--memory-limit", "0"], ["memory_limit = '0'", "a number above 0"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[0] != GOOD[0] else None,
)
def test_wrong_usage_says_what_why_and_how_to_fix_it(refused, arguments, words):
    message = refused(*arguments)
    assert all(word in message for word in words), message


def test_the_version_is_told(pahq):
    done = pahq("--version")
    assert (done.returncode, done.stdout) == (0, f"pahq {library.__version__}\n")


def test_the_bare_command_shows_its_help(pahq):
    done = pahq()
    assert done.returncode == 0
    assert "Commands" in done.stdout
    assert pahq("run", "--help").returncode == 0
