"""pahq from Python."""

import json
from pathlib import Path

import pytest
import torch

import pahq
from pahq.errors import BadRunFolder, BadThreshold, UsageError
from pahq.models.loading import load_model
from pahq.runs import store
from pahq.runs.config import make_config
from tests.random_models import Recipe, random_bridge


def test_run_returns_the_circuit_its_events_and_its_summary():
    run = pahq.run(model="hand-induction", task="induction", threshold=0.01, examples=10)
    assert len(run.circuit.kept) == run.summary["edges_kept"] == 4
    assert sum(getattr(event, "kept", False) for event in run.events) == 4
    assert run.config.examples == 10
    assert "4 of 81 edges" in repr(run)
    assert run.figure().data


def test_of_a_stopped_run_only_what_was_decided_counts():
    config = make_config(model="hand-induction", task="induction", threshold=0.01)
    folder = store.create(config, out=Path("run"))
    assert repr(pahq.load("run")).endswith("unfinished>")
    numbers = {"edges_kept": 60, "edges_total": 81, "edges_decided": 30}
    folder.write_json("summary.json", {"status": "stopped", **numbers})
    assert "stopped, 9 of 30 decided edges kept" in repr(pahq.load("run"))


def test_a_bridge_that_is_loaded_already_can_be_searched():
    loaded = load_model("attn-2l", device=torch.device("cpu"))
    tokens = list(range(5, 15))
    prompts = [{"clean": tokens + tokens[:3], "corrupt": tokens[::-1] + tokens[:3], "answers": []}]
    Path("task.json").write_text(json.dumps({"prompts": prompts}))
    run = pahq.run(model=loaded.bridge, task="task.json", threshold=0.05)
    assert run.config.model == "attn-2l"
    assert run.summary["status"] == "finished"


def test_a_bridge_is_given_back_as_it_was():
    bridge = random_bridge(Recipe(layers=1, heads=2, family="gpt2"))
    bridge.train().requires_grad_(True)
    bridge.set_use_attn_in(True)
    Path("task.json").write_text(
        json.dumps({"prompts": [{"clean": [1, 2, 3], "corrupt": [1, 4, 3], "answers": [5]}]})
    )
    for engine in ("fast", "bridge"):
        pahq.run(model=bridge, task="task.json", threshold=0.05, engine=engine)
        assert bridge.training
        assert all(parameter.requires_grad for parameter in bridge.parameters())
        assert bridge.cfg.use_attn_in
        assert not bridge.cfg.use_attn_result
        assert not bridge.cfg.use_split_qkv_input


def test_a_run_of_a_bridge_goes_on_with_it():
    bridge = random_bridge(Recipe(layers=1, heads=2, family="gpt2"))
    Path("task.json").write_text(
        json.dumps({"prompts": [{"clean": [1, 2, 3], "corrupt": [1, 4, 3], "answers": [5]}]})
    )
    whole = pahq.run(model=bridge, task="task.json", threshold=1e-4)
    log = (whole.path / "events.jsonl").read_bytes()
    cut = store.create(whole.config, out=Path("cut"))
    (cut.path / "events.jsonl").write_bytes(log[: len(log) // 2])
    assert pahq.resume("cut", model=bridge).circuit.kept == whole.circuit.kept
    other = random_bridge(Recipe(layers=1, heads=2, family="gpt2", seed=9))
    cut = store.create(whole.config, out=Path("other"))
    (cut.path / "events.jsonl").write_bytes(log[: len(log) // 2])
    with pytest.raises(UsageError, match="model changed"):
        pahq.resume("other", model=other)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_load_opens_a_run_by_id_or_folder():
    made = pahq.run(model="hand-induction", task="induction", threshold=0.01, examples=5)
    assert pahq.load(made.path).circuit.kept == made.circuit.kept
    assert pahq.load(made.folder.id).summary == made.summary


def test_events_are_told_as_they_come():
    seen = []
    run = pahq.run(
        model="hand-induction", task="induction", threshold=0.01, examples=5,
        on_event=lambda event, t: seen.append(event),
    )  # fmt: skip
    assert seen == run.events


def test_mistakes_are_errors_of_ours():
    with pytest.raises(BadThreshold):
        pahq.run(model="hand-induction", task="induction", threshold=-1.0)
    with pytest.raises(BadRunFolder):
        pahq.load("nothing")


def test_an_unfinished_run_has_no_circuit_yet(tmp_path):
    from pahq.runs import store
    from pahq.runs.config import make_config

    config = make_config(model="hand-induction", task="induction", threshold=0.01)
    folder = store.create(config, out=tmp_path / "run")
    with pytest.raises(BadRunFolder, match=r"no circuit yet(?s:.)*pahq resume"):
        _ = pahq.load(folder.path).circuit
