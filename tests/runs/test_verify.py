"""A run is proved by other means, and a forged one is found out."""

import json
import math

import pytest

from pahq.discovery.acdc import Rule
from pahq.discovery.events import EdgeTested, to_line
from pahq.errors import BadRunFolder, UsageError
from pahq.runs import store
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session
from pahq.runs.verify import Question, Said, verify


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
    summary = folder.summary
    rounded = abs(summary["damage_under_policy"] - summary["damage"])
    resolved = max(found["tolerance"], summary["noise_floor"], rounded)
    assert found["largest_difference"] <= 10 * resolved
    if policy == "fp32":
        assert found["largest_difference"] <= found["tolerance"]
        assert found["shakes"] == 0
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


@pytest.mark.parametrize("policy", ["fp32", "rtn-fp8"])
def test_a_forged_decision_is_a_contradiction(session, policy):
    folder = made(session, examples=2, policy=policy)
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
    # In low precision last bits were given a chance to explain it.
    assert bool(found["shakes"]) == (policy != "fp32")


@pytest.mark.parametrize("policy", ["fp32", "pahq-int8"])
def test_a_forged_damage_does_not_hold(session, policy):
    folder = made(session, examples=2, policy=policy)
    summary = json.loads((folder.path / "summary.json").read_text())
    forged = summary["damage_under_policy"] * 1.2 + 0.01
    folder.write_json("summary.json", summary | {"damage_under_policy": forged})
    found = verify(folder, session, sample=4)
    assert found["contradictions"] == []
    assert not found["holds"]
    assert not found["damage"]["low"] <= forged <= found["damage"]["high"]


def test_tipped_roundings_are_no_contradiction(session):
    # Last bits decide whether the damage of this circuit is 0.0342 or 0.0348 nats, with any engine.
    config = make_config(model="tiny-gpt", task="pronoun", threshold=0.0123, policy="pahq-int8")
    found = verify(session.start(config), session, sample=8)
    assert found["holds"]
    damage = found["damage"]
    if abs(damage["recorded"] - damage["verified"]) > 1e-4:
        assert found["shakes"] > 0
        assert damage["most"] - damage["least"] < 2e-3


def question(effect, *, kept, absolute=False, skipped=False):
    event = EdgeTested(0, "input->a0.h0<q>", effect, kept, 0.0, skipped=skipped)
    return Question([event], 0, Rule(threshold=0.1, absolute=absolute))


def between(least, most):
    return Said.of(least, 0.0).also(Said.of(most, 0.0))


def test_a_decision_agrees_if_it_may_be_made_somewhere_within_the_bounds():
    kept, removed = question(0.2, kept=True), question(0.0, kept=False)
    assert kept.agrees(Said.of(0.2, 0.0))
    assert not kept.agrees(Said.of(0.05, 0.0))
    assert kept.agrees(between(0.05, 0.11))
    assert kept.agrees(between(0.05, 0.09))  # 0.11 is within half the distance
    assert not kept.agrees(between(0.05, 0.08))
    assert removed.agrees(Said.of(0.1 + 5e-6, 0.0))  # FP32 does not resolve that
    assert not removed.agrees(Said.of(0.1 + 2e-5, 0.0))
    assert removed.agrees(Said.of(-0.3, 0.0))


def test_a_decision_by_size_may_lie_on_either_side_of_0():
    removed = question(0.0, kept=False, absolute=True)
    assert not removed.agrees(Said.of(-0.3, 0.0))
    assert removed.agrees(between(-0.3, 0.3))
    assert question(-0.2, kept=True, absolute=True).agrees(Said.of(-0.2, 0.0))


def test_a_skipped_edge_has_no_effect():
    skipped = question(0.0, kept=False, skipped=True)
    assert skipped.agrees(Said.of(5e-6, 0.0))
    assert not skipped.agrees(Said.of(5e-5, 0.0))
    assert skipped.agrees(between(-1e-4, 1e-4))
    assert skipped.agrees(Said.of(5e-5, 10.0))  # the resolution goes with the damage


def test_what_is_not_finite_agrees_with_nothing():
    for value in (math.nan, math.inf):
        assert not question(0.0, kept=False).agrees(Said.of(value, 0.0))
        assert not Said.of(value, value).allows(0.0)
    assert between(0.0, math.inf) == Said.of(0.0, 0.0)


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
