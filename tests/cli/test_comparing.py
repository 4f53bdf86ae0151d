"""``pahq compare``: text and JSON, what rounding does to components, what is refused."""

import json
import shutil

import pytest

import pahq as library
from pahq.runs.compare import CAUSES
from pahq.runs.store import RunFolder

HAND = {"model": "hand-induction", "task": "induction", "threshold": 0.01, "examples": 5}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return an FP32 run, one in INT8, and one that also has another threshold."""
    base = tmp_path_factory.mktemp("runs")
    plans = {"full": {}, "int8": {"policy": "pahq-int8"}, "loose": {"threshold": 0.5}}
    for name, changes in plans.items():
        library.run(**{**HAND, **changes, "out": base / name})
    return {name: str(base / name) for name in plans}


@pytest.fixture
def flipped(runs, tmp_path):
    """Return a copy of the INT8 run that cut one edge, near the threshold."""
    copy = RunFolder(shutil.copytree(runs["int8"], tmp_path / "flipped"))
    circuit = copy.circuit
    edge = next(name for name, record in circuit["edges"].items() if record["in_graph"])
    circuit["edges"][edge] = {"score": 0.0091, "in_graph": False}
    copy.write_json("circuit.json", circuit)
    return str(copy.path), edge


def test_two_runs_that_agree_are_told_in_a_few_lines(pahq, runs):
    done = pahq("compare", runs["full"], runs["int8"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("int8 against full\n")
    assert "PAHQ INT8 keeps 4 of Full precision's 4 edges" in done.stdout
    assert "the same circuit." in done.stdout
    assert "jaccard 1 " in done.stdout
    assert "nats" in done.stdout
    assert "Note:" not in done.stdout
    assert "cause" not in done.stdout


def test_a_difference_is_listed_with_its_cause(pahq, runs, flipped):
    path, edge = flipped
    done = pahq("compare", runs["full"], path)
    assert "the one that differs is within 9% of the threshold." in done.stdout
    [row] = [line for line in done.stdout.splitlines() if line.startswith(edge)]
    assert row.split()[2:] == ["0.0091", "9%", "cut", "near", "threshold"]
    [explained] = [line for line in done.stdout.splitlines() if line.startswith("near threshold:")]
    assert explained.endswith(CAUSES["near threshold"])


def test_other_settings_that_differ_are_noted(pahq, runs):
    done = pahq("compare", runs["full"], runs["loose"])
    assert "Note: they also differ in: threshold" in done.stdout


def test_json_is_alone_on_stdout(pahq, runs, flipped):
    path, edge = flipped
    done = pahq("compare", runs["full"], runs["int8"], path, "--json")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    first, second = data["comparisons"]
    assert data["rounding_errors"] == {}
    assert (first["reference"], first["other"], first["flips"]) == ("full", "int8", [])
    [flip] = second["flips"]
    assert (flip["edge"], flip["cause"], flip["kept"]) == (edge, "near threshold", False)
    assert second["precision"] == 1.0
    assert second["recall"] == 0.75


def test_several_runs_are_each_compared_with_the_first(pahq, runs):
    done = pahq("compare", runs["full"], runs["int8"], runs["loose"])
    assert "int8 against full" in done.stdout
    assert "loose against full" in done.stdout


@pytest.mark.parametrize("as_json", [False, True])
def test_heads_tell_what_rounding_does_to_each(pahq, runs, as_json):
    """The FP32 run has nothing rounded, so only the other is listed."""
    given = ["compare", runs["full"], runs["int8"], runs["loose"], "--heads"]
    done = pahq(*given, *(["--json"] if as_json else []))
    assert done.returncode == 0, done.stderr
    if as_json:
        found = json.loads(done.stdout)["rounding_errors"]
        assert found["loose"] == {}
        heads = {f"a{layer}.h{head}" for layer in range(2) for head in range(4)}
        assert set(found["int8"]) == {*heads, "logits"}
        assert set(found["int8"]["a1.h0"]) == {"q", "k", "v", "pattern", "output"}
        assert set(found["int8"]["logits"]) == {"output"}
        # Half a step of 1/127 of a row's peak, and what products make of it.
        assert all(error < 0.2 for each in found["int8"].values() for error in each.values())
    else:
        assert done.stdout.count("rounding error of") == 1
        assert "pattern" in done.stdout
        [row] = [line for line in done.stdout.splitlines() if line.startswith("logits")]
        assert row.endswith("%")


def test_one_run_is_none_to_compare(refused, runs):
    for arguments in ([], ["--json"], ["--heads"]):
        message = refused("compare", runs["full"], *arguments)
        assert "only one run to compare" in message
        assert "pahq list" in message


def test_no_run_at_all_is_refused(pahq):
    done = pahq("compare")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_unknown_run_is_named(refused, runs):
    message = refused("compare", runs["full"], "nothing")
    assert "There is no run 'nothing'" in message
    assert "pahq list" in message


def test_a_run_without_a_circuit_is_named(refused, runs, tmp_path):
    copy = shutil.copytree(runs["int8"], tmp_path / "unfinished")
    (copy / "circuit.json").unlink()
    assert "unfinished has no circuit yet" in refused("compare", runs["full"], str(copy))


def test_runs_are_found_by_their_ids(pahq):
    made = library.run(**HAND).folder
    done = pahq("compare", made.id, made.id)
    assert done.returncode == 0
    assert f"{made.id} against {made.id}" in done.stdout
