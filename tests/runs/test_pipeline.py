"""Whole runs on a small random model, and everything that may happen to them."""

import json
import shutil
import time
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from pahq.discovery.events import (
    EdgeTested,
    FocusChanged,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    RunStopped,
)
from pahq.errors import PahqError, SearchFailed, UsageError
from pahq.graph.circuit import read_circuit
from pahq.precision.formats import INT8
from pahq.precision.native import describe
from pahq.runs import store
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session
from pahq.runs.state import work_on

FILES = {"config.json", "environment.json", "events.jsonl", "state.json", "circuit.json",
         "summary.json", ".lock"}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a random model's directory and a task file of token ids."""
    base = tmp_path_factory.mktemp("world")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=20, n_positions=8, n_embd=12, n_layer=2, n_head=3, bos_token_id=0,
        eos_token_id=0, initializer_range=0.4,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(base / "model")
    generator = torch.Generator().manual_seed(1)
    prompts = []
    for row in range(6):
        clean = torch.randint(0, 20, (5 + row % 2,), generator=generator).tolist()
        corrupt = [*clean[:2], (clean[2] + 7) % 20, *clean[3:]]
        prompts.append({"clean": clean, "corrupt": corrupt, "answers": [1], "wrong_answers": [2]})
    (base / "task.json").write_text(json.dumps({"prompts": prompts}))
    return base


@pytest.fixture(scope="module")
def session():
    return Session()


def settings(world, **changes):
    return make_config(
        **{
            "model": str(world / "model"),
            "task": str(world / "task.json"),
            "threshold": 0.02,
            "threads": 1,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def whole(world, session, tmp_path_factory):
    """Return a function that gives an uninterrupted run, made once for equal settings."""

    @cache
    def made(policy, engine):
        out = tmp_path_factory.mktemp("whole") / "run"
        return session.start(settings(world, policy=policy, engine=engine), out=out)

    return made


def text(folder, name):
    return (folder.path / name).read_bytes()


def test_a_run_leaves_every_file_and_says_what_it_found(world, session):
    folder = session.start(settings(world))
    assert {path.name for path in folder.path.iterdir()} == FILES
    events, summary = folder.events(), folder.summary
    circuit = read_circuit(folder.path / "circuit.json")
    decisions = [event for event in events if isinstance(event, EdgeTested)]
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert len(decisions) == summary["edges_total"] == circuit.graph.edge_count
    assert 0 < summary["edges_kept"] == sum(e.kept for e in decisions) == len(circuit.kept)
    assert summary["tests_run"] + summary["tests_skipped"] == summary["edges_total"]
    # A log-sum-exp of FP32 logits of order 10.
    assert summary["damage_everything_kept"] == pytest.approx(0, abs=1e-6)
    assert summary["damage"] == pytest.approx(summary["damage_under_policy"])
    assert summary["damage"] == pytest.approx(decisions[-1].damage, abs=1e-5)
    assert 0 < summary["damage"] < summary["damage_nothing_kept"]
    assert summary["noise_floor"] == 0
    assert summary["formats"] == {"fp32": "native"}
    assert summary["peak_bytes"] > summary["baseline_bytes"] > 0
    assert folder.state.phase == "finished"


@pytest.mark.parametrize("policy", ["fp32", "pahq-int8", "rtn-fp8"])
def test_equal_settings_give_byte_identical_circuits(world, session, policy):
    config = settings(world, policy=policy)
    first, second = session.start(config), session.start(config)
    assert text(first, "circuit.json") == text(second, "circuit.json")


def test_a_runs_own_config_repeats_it(world, session):
    first = session.start(settings(world, policy="pahq-fp8"))
    assert first.config.batch_size is not None
    assert first.config.model_hash
    second = session.start(first.config)
    assert text(first, "circuit.json") == text(second, "circuit.json")


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("policy", ["fp32", "pahq-int8"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_killed_run_resumes_to_the_same_circuit(whole, session, engine, policy, share):
    whole = whole(policy, engine)
    log = text(whole, "events.jsonl")
    killed = store.create(whole.config)
    # Killed at any byte: half a line remains, and no result.
    (killed.path / "events.jsonl").write_bytes(log[: int(share * len(log))])
    session.run(killed)
    assert text(killed, "circuit.json") == text(whole, "circuit.json")
    once = [e for e in killed.events() if isinstance(e, EdgeTested)]
    assert once == [e for e in whole.events() if isinstance(e, EdgeTested)]


def test_a_stopped_run_keeps_what_was_decided_and_goes_on(world, session):
    whole = session.start(settings(world))
    seen = []
    stopped = session.start(
        settings(world), on_event=lambda e, t: seen.append(e), should_stop=lambda: len(seen) > 20
    )
    circuit = read_circuit(stopped.path / "circuit.json")
    assert stopped.summary["status"] == "stopped"
    assert isinstance(stopped.events()[-1], RunStopped)
    assert circuit.undecided
    assert circuit.undecided <= circuit.kept
    assert stopped.summary["edges_decided"] == circuit.graph.edge_count - len(circuit.undecided)
    before = stopped.summary
    session.run(stopped)
    assert stopped.summary["status"] == "finished"
    # What the first process did counts too.
    assert stopped.summary["evaluations"] > before["evaluations"] > 0
    assert stopped.summary["evaluations"] >= stopped.summary["tests_run"]
    assert stopped.summary["peak_bytes"] >= before["peak_bytes"]
    assert any(isinstance(event, RunResumed) for event in stopped.events())
    assert text(stopped, "circuit.json") == text(whole, "circuit.json")


def test_seconds_of_search_go_on_after_a_resume(world, session):
    seen = []
    folder = session.start(
        settings(world), on_event=lambda e, t: seen.append(t), should_stop=lambda: len(seen) > 20
    )
    session.run(folder)
    times = [record["t"] for record in folder.records()[0]]
    assert times == sorted(times)


def test_a_resume_on_another_model_is_refused(world, session, tmp_path):
    folder = session.start(settings(world), should_stop=lambda: True)
    changed = folder.config.model_copy(update={"model_hash": "0" * 64})
    folder.write_text("config.json", changed.as_json())
    with pytest.raises(UsageError, match="model changed"):
        session.run(folder)


def test_a_model_that_was_written_anew_is_loaded_anew(world, session, tmp_path):
    copy = shutil.copytree(world / "model", tmp_path / "copy")
    first = session.load(str(copy))
    assert session.load(str(copy)) is first
    time.sleep(0.01)
    (copy / "model.safetensors").touch()
    assert session.load(str(copy)) is not first


def test_a_resume_on_other_prompts_is_refused(world, session):
    folder = session.start(settings(world), should_stop=lambda: True)
    changed = folder.config.model_copy(update={"examples": 3})
    folder.write_text("config.json", changed.as_json())
    with pytest.raises(UsageError, match="prompts changed"):
        session.run(folder)


def test_fewer_examples_are_the_first_ones(world, session):
    pairs = session.prepare(settings(world)).pairs
    assert session.prepare(settings(world, examples=4)).pairs == pairs[:4]


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "logit-diff", "threshold": 0.05},
        {"ablation": "zero"},
        {"ablation": "mean"},
        {"order": "farthest"},
        {"order": "shuffled", "seed": 3},
        {"absolute": True},
        {"engine": "bridge"},
        {"engine": "fast"},
        {"metric": "nll"},
        {"metric": "prob-diff"},
        {"metric": "accuracy"},
    ],
    ids=str,
)
def test_every_option_runs_to_its_end(world, session, change):
    folder = session.start(settings(world, **change))
    assert folder.summary["status"] == "finished"
    assert folder.summary["edges_decided"] == folder.summary["edges_total"]


def test_every_engine_finds_the_same_circuit(world, session):
    found = [
        read_circuit(session.start(settings(world, engine=name)).path / "circuit.json").kept
        for name in ("reference", "bridge", "fast")
    ]
    assert found[0] == found[1] == found[2]


def test_a_check_and_the_run_behind_it_prepare_once(session):
    config = make_config(model="hand-induction", task="induction", threshold=0.01, examples=5)
    session.check(config)
    prepared = session.prepare(config)
    assert session.prepare(config.model_copy(update={"threshold": 0.5})).batches is prepared.batches
    assert session.prepare(config.model_copy(update={"seed": 1})).batches is not prepared.batches


def test_low_precision_is_reported_with_its_noise(world, session):
    folder = session.start(settings(world, policy="pahq-int8"))
    assert folder.summary["formats"] == {"fp32": "native", "int8": describe(INT8, "cpu")}
    assert 0 < folder.summary["noise_floor_kl"] < 0.02
    changes = [event for event in folder.events() if isinstance(event, FocusChanged)]
    assert all(event.formats == {event.focus: "fp32"} for event in changes)
    assert len({event.before for event in changes}) > 1


def test_a_threshold_below_the_noise_floor_gets_a_warning(world, session):
    said = []
    session.start(settings(world, policy="rtn-int8", threshold=1e-9), on_notice=said.append,
                  should_stop=lambda: True)  # fmt: skip
    assert any("noise floor" in sentence for sentence in said)


def test_a_model_that_cannot_do_the_task_gets_a_warning(world, session):
    found = session.check(settings(world))
    assert found["task_score"] < 0.75
    assert "hardly does the task" in found["warning"]
    assert found["seconds_per_test"] > 0


def test_fewer_rows_than_asked_for_are_said(world, session):
    said = []
    session.start(settings(world, examples=7), on_notice=said.append, should_stop=lambda: True)
    assert any("7 prompt pairs were asked for; 'task.json' has 6" in line for line in said)
    said.clear()
    session.start(settings(world, examples=6), on_notice=said.append, should_stop=lambda: True)
    assert not any("asked for" in line for line in said)


def test_a_request_that_cannot_be_met_leaves_no_folder(world, session, home):
    with pytest.raises(PahqError, match="no task called"):
        session.start(settings(world, task="io"))
    with pytest.raises(PahqError, match="fp32"):
        session.start(settings(world, engine="bridge", policy="bf16"))
    assert store.list_runs() == []


def test_a_full_disk_ends_the_run_and_keeps_what_was_decided(world, session, monkeypatch):
    from pahq.runs.recorder import Recorder

    folder = store.create(settings(world))
    write, count = Recorder.event, iter(range(10_000))

    def full(self, event):
        if next(count) > 15:
            self._file.close()
            self._file = Path("/dev/full").open("wb", 0)  # noqa: SIM115 - the recorder closes it
        return write(self, event)

    monkeypatch.setattr(Recorder, "event", full)
    with pytest.raises(SearchFailed, match=r"(?s)could not be written.*No space left.*resume"):
        session.run(folder)
    monkeypatch.undo()
    assert len(folder.events()) > 10
    session.run(folder)
    assert folder.summary["status"] == "finished"


def test_an_error_inside_a_search_is_written_down(world, session, monkeypatch):
    from pahq.engine.fast import FastEvaluator

    def nan(self, receiver, cut_sets):
        return [float("nan") for _ in cut_sets]

    folder = store.create(settings(world))
    monkeypatch.setattr(FastEvaluator, "damages", nan)
    with pytest.raises(SearchFailed, match="nan"):
        session.run(folder)
    ending = folder.events()[-1]
    assert isinstance(ending, RunFailed)
    assert set(ending.error) == {"what", "why", "fix"}
    assert folder.state.phase == "failed"


def test_an_error_of_ours_inside_torch_is_one_message_too(world, session, monkeypatch):
    from pahq.engine.fast import FastEvaluator

    def broken(self, receiver, cut_sets):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate")

    folder = store.create(settings(world))
    monkeypatch.setattr(FastEvaluator, "damages", broken)
    with pytest.raises(SearchFailed, match="not enough memory"):
        session.run(folder)


def test_with_the_bridge_engine_nothing_comes_from_our_own_forward(world, session, monkeypatch):
    from pahq.engine.reference import ReferenceEvaluator

    ours = session.start(settings(world, engine="reference")).summary

    def refuse(*_):
        raise AssertionError("the reference engine was asked")

    monkeypatch.setattr(ReferenceEvaluator, "__init__", refuse)
    theirs = Session().start(settings(world, engine="bridge")).summary
    for name, value in ours.items():
        if name.startswith("damage") or name in ("noise_floor", "noise_floor_kl", "task_score"):
            assert theirs[name] == pytest.approx(value, abs=1e-5), name


def test_a_run_in_work_is_not_touched(world, session):
    folder = store.create(settings(world))
    with work_on(folder.path, None), pytest.raises(UsageError, match="in work"):
        session.run(folder)
    assert session.run(folder)["status"] == "finished"


@pytest.mark.parametrize("engine", ["fast", "reference", "bridge"])
def test_too_little_memory_is_an_error_before_the_search(world, session, engine):
    with pytest.raises(UsageError, match=r"does not fit(?s:.)*needs [\d.,]+ MB(?s:.)*0\.0 MB"):
        session.start(settings(world, engine=engine, memory_limit=1e-6))
    assert store.list_runs() == []


def test_a_memory_limit_makes_batches_smaller_and_changes_no_decision(world, session):
    from pahq.engine.amounts import amounts
    from pahq.engine.budget import search_bytes

    free = session.start(settings(world))
    prepared = session.prepare(settings(world))
    least = search_bytes(prepared.model.weights, prepared.batches, prepared.policy, 2)
    tight = session.start(settings(world, memory_limit=least / 1e9))
    assert tight.config.batch_size == 2
    most = amounts(prepared.device).most
    assert free.config.batch_size == most  # few prompts: many alternatives at once
    circuits = [read_circuit(run.path / "circuit.json") for run in (free, tight)]
    assert circuits[0].kept == circuits[1].kept
