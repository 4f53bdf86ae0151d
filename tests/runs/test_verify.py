"""A run is proved by other means, and a forged one is found out."""

import json

import pytest

from pahq.discovery.events import EdgeTested, to_line
from pahq.errors import BadRunFolder, UsageError
from pahq.runs import store
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session
from pahq.runs.verify import verify


@pytest.fixture(scope="module")
def session():
    return Session()


def made(session, **changes):
    return session.start(
        make_config(
            **{"model": "attn-2l", "task": "induction", "threshold": 0.01, "examples": 8, **changes}
        )
    )


@pytest.mark.parametrize(
    ("policy", "engine"), [("fp32", "bridge"), ("pahq-int8", "reference"), ("rtn-fp8", "reference")]
)
def test_a_run_holds_by_full_forwards(session, policy, engine):
    folder = made(session, policy=policy)
    seen = []
    found = verify(folder, session, sample=12, on_progress=lambda *done: seen.append(done))
    assert found["engine"] == engine
    assert found["holds"]
    assert found["contradictions"] == []
    assert len(found["decisions"]) >= 12
    assert {item["kept"] for item in found["decisions"]} == {True, False}
    assert found["damage"]["verified"] == pytest.approx(found["damage"]["recorded"], abs=1e-4)
    assert found["largest_difference"] <= 10 * found["tolerance"]
    assert seen[-1] == (len(found["decisions"]),) * 2


def test_near_decisions_are_checked_whatever_the_sample(session):
    folder = made(session)
    kept = next(e for e in folder.events() if isinstance(e, EdgeTested) and e.kept)
    # What comes before the first edge kept is the same, so its effect is too.
    folder = made(session, threshold=kept.effect - 3e-6)
    listed = {item["edge"] for item in folder.summary["near_threshold"]}
    assert listed
    found = verify(folder, session, sample=0)
    assert {item["edge"] for item in found["decisions"]} == listed
    assert found["holds"]


def test_a_forged_decision_is_a_contradiction(session):
    folder = made(session, examples=2)
    lines = []
    forged = None
    for record, event in zip(folder.records()[0], folder.events(), strict=True):
        if isinstance(event, EdgeTested) and event.kept and forged is None:
            forged = event.edge
            event = EdgeTested(event.i, event.edge, 0.0, False, event.damage)
        lines.append(to_line(event, t=record["t"]))
    (folder.path / "events.jsonl").write_text("".join(lines))
    found = verify(folder, session, sample=10_000)
    assert not found["holds"]
    assert forged in found["contradictions"]


def test_a_run_without_result_is_refused(session, tmp_path):
    config = make_config(model="attn-2l", task="induction", threshold=0.01)
    folder = store.create(config, out=tmp_path / "run")
    with pytest.raises(BadRunFolder, match="no circuit yet"):
        verify(folder, session)


def test_another_model_than_the_runs_is_refused(session):
    folder = made(session)
    config = json.loads((folder.path / "config.json").read_text())
    folder.write_json("config.json", config | {"model_hash": "0" * 64})
    with pytest.raises(UsageError, match="model changed"):
        verify(folder, session)
