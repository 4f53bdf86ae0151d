"""Screening in low precision finds FP32's circuit, and says what it did for it."""

import pytest

from pahq.discovery.acdc import acdc
from pahq.discovery.events import EdgeTested
from pahq.discovery.screen import FIRST
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session


@pytest.fixture(scope="module")
def session():
    return Session()


def searched(session, policy, replay=(), **settings):
    config = make_config(**{"model": "tiny-gpt", "task": "pronoun", "threshold": 0.01,
                            "examples": 50, "policy": policy, **settings})  # fmt: skip
    prepared = session.prepare(config)
    evaluator = prepared.evaluator()
    return evaluator, list(acdc(prepared.graph, evaluator, prepared.rule, replay=replay))


def kept(events):
    return {event.edge for event in events if isinstance(event, EdgeTested) and event.kept}


def test_the_circuit_is_that_of_fp32_where_int8_alone_errs(session):
    _, full = searched(session, "fp32")
    _, low = searched(session, "pahq-int8")
    exact, screened = searched(session, "exact-int8")
    assert kept(low) != kept(full)
    assert kept(screened) == kept(full)
    confirmed = [e for e in screened if isinstance(e, EdgeTested) and e.screened is not None]
    assert exact.found.fp32_tests == len(confirmed)
    assert FIRST <= exact.found.audited <= len(confirmed) < exact.low.evaluations
    assert 0 < exact.found.error < 1
    effects = {event.edge: event.effect for event in full if isinstance(event, EdgeTested)}
    assert all(abs(event.effect - effects[event.edge]) < 1e-5 for event in confirmed)


def test_a_resumed_search_knows_what_it_had_measured(session):
    whole, events = searched(session, "exact-int8", examples=6)
    for share in (0.1, 0.2, 0.22, 0.25, 0.5, 0.9):
        replay = events[: int(share * len(events))]
        later, rest = searched(session, "exact-int8", replay, examples=6)
        assert [e for e in (*replay, *rest) if isinstance(e, EdgeTested)] == [
            e for e in events if isinstance(e, EdgeTested)
        ]
        assert later.found == whole.found


def test_the_run_is_held_to_fp32(session):
    from pahq.runs.verify import verify

    config = make_config(model="attn-2l", task="induction", threshold=0.01, examples=6,
                         policy="exact-int8")  # fmt: skip
    folder = session.start(config)
    assert folder.summary["screening"]["fp32_tests"] > 0
    assert folder.summary["noise_floor"] == 0.0
    assert folder.summary["damage"] == folder.summary["damage_under_policy"]
    found = verify(folder, session)
    assert found["engine"] == "bridge"
    assert found["holds"]
