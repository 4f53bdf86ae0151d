"""From settings to a search that can start: what is counted, filled in and refused."""

import json
from dataclasses import replace

import pytest
import torch

from pahq.errors import BadModel, NothingToExplain, UsageError
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session

SAME = {"clean": [1, 2, 3, 1], "corrupt": [1, 2, 3, 1], "answers": [2]}
OTHER = {**SAME, "corrupt": [4, 2, 3, 4]}


@pytest.fixture(scope="module")
def session():
    return Session()


@pytest.fixture
def prepared(session, tmp_path):
    """Return a function that prepares a run of hand-induction on a file with these rows."""

    def prepare(rows, **changes):
        path = tmp_path / "mine.json"
        path.write_text(json.dumps({"prompts": rows}))
        named = {"model": "hand-induction", "task": str(path), "threshold": 0.01, "threads": 1}
        return session.prepare(make_config(**{**named, **changes}))

    return prepare


@pytest.mark.parametrize(
    ("examples", "taken"), [(None, 60), (7, 7), (100, 60)], ids=["all", "first", "more"]
)
def test_a_files_rows_are_all_taken_and_counted(prepared, examples, taken):
    ready = prepared([OTHER] * 60, examples=examples)
    assert len(ready.pairs) == ready.config.examples == taken


def test_a_named_task_has_fifty_examples_unless_said_otherwise(prepared):
    assert prepared([OTHER], task="induction").config.examples == 50
    assert prepared([OTHER], task="induction", examples=3).config.examples == 3


def test_a_file_with_more_rows_than_a_run_takes_is_refused(prepared, monkeypatch):
    monkeypatch.setattr("pahq.runs.prepare.MOST_EXAMPLES", 5)
    assert len(prepared([OTHER] * 5).pairs) == 5
    with pytest.raises(UsageError, match=r"(?s)mine\.json has 6 rows.*at most 5.*--examples"):
        prepared([OTHER] * 6)


@pytest.mark.parametrize("rows", [[SAME, SAME], [OTHER, SAME]], ids=["all", "some"])
def test_twins_that_are_the_same_are_refused_by_their_row(prepared, rows):
    with pytest.raises(NothingToExplain, match=rf"mine\.json, row {1 + rows.index(SAME)}:"):
        prepared(rows)


@pytest.mark.parametrize("engine", ["fast", "reference", "bridge"])
@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_without_corrupt_values_twins_may_be_the_same(prepared, engine, ablation):
    another = {"clean": [5, 6, 7, 5], "corrupt": [5, 6, 7, 5], "answers": [6]}
    ready = prepared([SAME, another], engine=engine, ablation=ablation)
    receiver = ready.graph.receivers[0]
    kept, cut = ready.evaluator().damages(receiver, [[], list(ready.graph.senders_to(receiver))])
    assert cut > kept + 0.1


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({"policy": "pahq-int8"}, "input heads logits"),
        ({"policy": "pahq-fp8"}, "input heads"),
        ({"policy": "rtn-int8"}, "input heads logits"),
        ({"policy": "fp32"}, ""),
        ({"policy": "exact-int8"}, ""),  # screening needs both
        ({"policy": "pahq-int8", "engine": "reference"}, ""),
        ({"policy": "fp32", "engine": "bridge"}, ""),
    ],
    ids=str,
)
def test_on_a_gpu_weights_in_low_formats_wait_in_the_hosts_memory(prepared, changes, waits):
    here = prepared([OTHER], **changes)
    assert here.on_host == frozenset()
    assert here.weights is here.model.weights
    assert here.products.residency is None
    # Nothing is moved: only what a search on a GPU would leave is asked for.
    there = replace(here, model=replace(here.model, device=torch.device("cuda")))
    kinds = {"heads": [c for c in there.graph.components if c.startswith("a")]}
    assert there.on_host == {name for kind in waits.split() for name in kinds.get(kind, [kind])}


@pytest.mark.parametrize("offline", [True, False])
def test_a_check_never_downloads_a_model(session, monkeypatch, offline):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("pahq.runs.pipeline.load_model", None)  # nothing may come so far
    config = make_config(model="gpt2", task="ioi", threshold=0.01)
    with pytest.raises(BadModel, match="'gpt2' is not on this computer"):
        session.check(config)


def test_a_run_that_may_not_go_online_is_refused_before_anything_is_loaded(session, monkeypatch):
    monkeypatch.setattr("pahq.runs.pipeline.load_model", None)
    config = make_config(model="gpt2", task="ioi", threshold=0.01)
    with pytest.raises(BadModel, match=r"(?s)'gpt2' is not on this computer.*HF_HUB_OFFLINE"):
        session.prepare(config)
