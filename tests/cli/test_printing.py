"""Results as text: whatever a summary lacks, nothing but what it says is printed."""

import json

import pytest

RUN = ["run", "--model", "hand-induction", "--task", "induction", "--threshold", "0.01"]


@pytest.fixture
def run(pahq, home):
    """Return the folder of a small finished run of the user's."""
    assert pahq(*RUN, "--examples", "4").returncode == 0
    [path] = (home / "runs").iterdir()
    return path


def rewrite(path, **changes):
    file = path / "summary.json"
    found = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in found.items() if value != "gone"}))


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ({"unit": "gone"}, "damage, noise"),
        ({"task_score": "gone"}, "model"),
        ({"edges_kept": "many"}, "circuit"),
        ({"nodes_kept": "gone", "near_threshold": None}, "circuit, noise"),
        ({"peak_bytes": None, "wall_s": "gone"}, "search, memory"),
    ],
    ids=str,
)
def test_a_summary_that_lacks_something_is_shown_without_it(pahq, run, changes, lacking):
    rewrite(run, **changes)
    done = pahq("show", run.name)
    assert done.returncode == 0
    assert f"summary.json does not say: {lacking}\n" in done.stdout
    assert "a0.h0->a1.h0<k>" in done.stdout
    assert run.name in pahq("list").stdout


@pytest.mark.parametrize("content", ["{", "[]", "{}", "null", ""])
def test_a_damaged_summary_is_refused_and_resume_writes_it_anew(pahq, refused, run, content):
    whole = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(content)
    for arguments in (["show", run.name], ["show", run.name, "--json"]):
        message = refused(*arguments)
        assert f"summary.json of the run {run.name} is damaged" in message
        assert f"pahq resume {run}" in message
    [row] = json.loads(pahq("list", "--json").stdout)
    assert row["status"] == "damaged"
    assert pahq("resume", run.name).returncode == 0
    anew = json.loads((run / "summary.json").read_text())
    assert (anew["damage"], anew["edges_kept"]) == (whole["damage"], whole["edges_kept"])


def test_the_models_accuracy_on_the_task_is_told(pahq, run):
    """hand-induction does its task; a score that is not known is not made up."""
    assert "right on 100.0% of the prompts" in pahq("show", run.name).stdout
    rewrite(run, task_score=None)
    assert "no prompt names an answer" in pahq("show", run.name).stdout


def test_a_stopped_run_tells_what_was_decided_and_what_merely_stays(pahq, run):
    rewrite(run, status="stopped", edges_total=81, edges_decided=20, edges_kept=64)
    assert (
        "stopped: 20 of 81 edges decided, 3 of them kept; the rest counts as kept"
        in pahq("show", run.name).stdout
    )
    assert "3 of 20 decided" in pahq("list").stdout


def test_only_as_many_edges_are_listed_as_asked_for(pahq, run):
    shown = pahq("show", run.name, "--edges", "1").stdout
    assert shown.count("->") == 1
    assert "and 3 more" in shown


def test_a_run_that_screened_says_what_full_precision_decided(pahq, home):
    done = pahq(*RUN, "--examples", "4", "--policy", "exact-int8")
    [path] = (home / "runs").iterdir()
    summary = json.loads((path / "summary.json").read_text())
    found = summary["screening"]
    assert 0 < found["audited"] <= found["fp32_tests"] <= summary["tests_run"]
    for shown in (done.stdout, pahq("show", path.name).stdout):
        words = f"{found['fp32_tests']} of {summary['tests_run']} tests decided in FP32"
        assert words in shown
        assert "weights high" in next(x for x in shown.splitlines() if "MB peak" in x)
        assert "does not say" not in shown


def test_weights_that_were_fetched_are_counted_behind_the_bytes(pahq, run):
    memory = json.loads((run / "summary.json").read_text())["memory"]
    fetched = {"prefetched": 1204, "used": 1200, "wasted": 4, "late": 1}
    rewrite(run, memory={**memory, "prefetch": fetched})
    line = next(x for x in pahq("show", run.name).stdout.splitlines() if "MB peak" in x)
    assert line.endswith("FP32 weights fetched: 1,204 prefetched, 1,200 used, 4 wasted, 1 late")
