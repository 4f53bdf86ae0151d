"""The command as a user types it: exit codes, messages, what goes to stdout."""

import json
import signal
import subprocess
import sys
import time

import pytest

RUN = ["run", "--model", "hand-induction", "--task", "induction", "--threshold", "0.01"]


def test_a_run_ends_with_a_short_summary(pahq):
    done = pahq(*RUN)
    assert done.returncode == 0
    assert "4 of 81 edges" in done.stdout
    assert "Traceback" not in done.stderr


def test_json_is_alone_on_stdout(pahq, tmp_path):
    done = pahq(*RUN, "--policy", "pahq-int8", "--out", str(tmp_path / "run"), "--json")
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "finished"


def test_fp32_on_hand_induction_finds_exactly_its_known_circuit(pahq, tmp_path):
    from pahq.graph.circuit import read_circuit
    from pahq.paths import models_dir

    known = json.loads((models_dir() / "hand-induction" / "known_circuit.json").read_text())
    for i, threshold in enumerate(known["thresholds"]):
        out = tmp_path / str(i)
        assert pahq(*RUN[:-1], str(threshold), "--out", str(out)).returncode == 0
        assert read_circuit(out / "circuit.json").kept == set(known["edges"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*RUN[:-1], "nan"], ["'nan' is not a positive number", "why:", "fix:"]),
        ([*RUN[:-1], "-1"], ["not a positive number"]),
        (["run", "--model", "tiny-gtp", *RUN[3:]], ["tiny-gtp", "did you mean tiny-gpt"]),
        ([*RUN[:4], "inducton", *RUN[5:]], ["inducton", "did you mean induction"]),
        ([*RUN, "--policy", "pahq-int9"], ["pahq-int9", "did you mean pahq-int8"]),
        ([*RUN[:5]], ["--threshold is missing"]),
        ([*RUN[:4], "nowhere.json", *RUN[5:]], ["nowhere.json"]),
        (["show", "nothing"], ["no run 'nothing'", "pahq list"]),
        (["tasks", "show", "ioi", "--model", "hand-induction"], ["cannot be written"]),
    ],
)
def test_a_mistake_is_one_message_and_exit_2(pahq, arguments, words):
    done = pahq(*arguments)
    assert done.returncode == 2, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_run_is_never_overwritten(pahq, tmp_path):
    out = str(tmp_path / "run")
    assert pahq(*RUN, "--out", out).returncode == 0
    again = pahq(*RUN, "--out", out)
    assert again.returncode == 2
    assert f"pahq show {out}" in again.stderr
    assert "pahq resume" not in again.stderr


def test_ctrl_c_keeps_the_run_and_resume_finishes_it(pahq, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    slow = ["run", "--model", "attn-2l", "--task", "induction", "--threshold", "0.01"]
    slow += ["--examples", "20", "--threads", "1", "--engine", "reference"]
    assert pahq(*slow, "--out", str(whole)).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "pahq", *slow, "--out", str(cut)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    events = cut / "events.jsonl"
    deadline = time.monotonic() + 60
    while not (events.exists() and events.read_text().count("edge_tested") >= 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "pahq resume" in stderr
    assert json.loads((cut / "summary.json").read_text())["status"] == "stopped"
    assert pahq("resume", str(cut)).returncode == 0
    assert (cut / "circuit.json").read_bytes() == (whole / "circuit.json").read_bytes()
    finished = pahq("resume", str(cut))
    assert finished.returncode == 2
    assert "is finished" in finished.stderr


@pytest.mark.parametrize("name", ["models", "tasks", "policies", "methods", "metrics", "formats"])
def test_lists_are_arrays_of_named_things(pahq, name):
    found = json.loads(pahq(name, "--json").stdout)
    assert all({"name", "title", "description"} <= set(entry) for entry in found)


def test_list_show_and_export(pahq, tmp_path):
    assert pahq(*RUN).returncode == 0
    [row] = json.loads(pahq("list", "--json").stdout)
    assert (row["status"], row["edges_kept"]) == ("finished", 4)
    shown = pahq("show", row["id"]).stdout
    assert "a0.h0->a1.h0<k>" in shown
    for ending in ("zip", "csv", "graphml", "json", "html"):
        target = tmp_path / f"circuit.{ending}"
        assert pahq("export", row["id"], "--to", str(target)).returncode == 0
        assert target.stat().st_size > 100
    wrong = pahq("export", row["id"], "--to", "circuit.docx")
    assert wrong.returncode == 2
    assert ".graphml" in wrong.stderr


def test_a_task_is_shown_with_its_answers(pahq):
    shown = pahq("tasks", "show", "induction", "--model", "hand-induction")
    assert shown.returncode == 0
    assert shown.stdout.count("answers") == 3


def test_a_config_repeats_its_run(pahq, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert pahq(*RUN, "--policy", "pahq-fp8", "--out", str(first)).returncode == 0
    config = str(first / "config.json")
    assert pahq("run", "--config", config, "--out", str(second)).returncode == 0
    assert (first / "circuit.json").read_bytes() == (second / "circuit.json").read_bytes()


def test_verify_says_whether_a_run_holds(pahq, tmp_path):
    run = tmp_path / "run"
    assert pahq(*RUN, "--examples", "5", "--out", str(run)).returncode == 0
    told = pahq("verify", str(run), "--sample", "8")
    assert told.returncode == 0, told.stderr
    assert "The run holds: 8 decisions checked" in told.stdout
    # A circuit whose events say otherwise than the model.
    log = (run / "events.jsonl").read_text()
    (run / "events.jsonl").write_text(log.replace('"kept":true', '"kept":false'))
    found = pahq("verify", str(run), "--sample", "100", "--json")
    assert found.returncode == 1
    assert json.loads(found.stdout)["holds"] is False


def test_verify_says_that_only_the_damage_is_another(pahq, tmp_path):
    run = tmp_path / "run"
    assert pahq(*RUN, "--examples", "5", "--out", str(run)).returncode == 0
    summary = json.loads((run / "summary.json").read_text())
    summary["damage_under_policy"] += 1.0
    (run / "summary.json").write_text(json.dumps(summary))
    told = pahq("verify", str(run), "--sample", "8")
    assert told.returncode == 1
    assert "The run does not hold: the damage is another." in told.stdout
