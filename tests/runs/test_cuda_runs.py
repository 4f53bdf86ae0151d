"""Whole runs on a GPU find what the processor finds."""

import pytest
import torch

from pahq.discovery.events import EdgeTested
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session
from pahq.runs.verify import verify

pytestmark = pytest.mark.gpu
THRESHOLD = 0.01


@pytest.fixture(scope="module")
def session():
    return Session()


def run(session, device, **changes):
    return session.start(
        make_config(
            model="tiny-gpt", task="ioi", threshold=THRESHOLD, examples=20, device=device, **changes
        )
    )


def decisions(folder):
    return [event for event in folder.events() if isinstance(event, EdgeTested)]


def assert_same(here, there):
    """Require equal decisions up to the first that is too near to tell."""
    floor = max(1e-5, here.summary["noise_floor"], there.summary["noise_floor"])
    for mine, theirs in zip(decisions(here), decisions(there), strict=True):
        assert (mine.edge, mine.skipped) == (theirs.edge, theirs.skipped)
        if mine.kept != theirs.kept:
            assert abs(mine.effect - THRESHOLD) <= floor
            return  # those behind it rest on it


# Not rtn-fp8's: what tensor cores tip moves an effect by more than its noise floor (verify, below).
@pytest.mark.parametrize("policy", ["fp32", "bf16", "pahq-int8", "pahq-fp8", "exact-int8"])
def test_a_search_finds_the_processors_circuit(session, policy):
    assert_same(*(run(session, device, policy=policy) for device in ("cpu", "cuda")))


def test_a_run_tells_what_the_device_held_and_what_was_fetched(session):
    low, full = (run(session, "cuda", policy=name) for name in ("pahq-int8", "fp32"))
    assert low.summary["formats"]["int8"] == "native"
    assert low.summary["baseline_bytes"] == 0
    assert 0 < low.summary["peak_bytes"] <= torch.cuda.get_device_properties(0).total_memory
    found = low.summary["memory"]
    assert set(found) == {"weights_low", "weights_high", "caches", "workspace", "prefetch"}
    fetched = found["prefetch"]
    assert fetched["prefetched"] == fetched["used"] + fetched["wasted"]
    assert fetched["used"] > 0
    assert "prefetch" not in full.summary["memory"]
    assert found["weights_high"] < full.summary["memory"]["weights_high"]


@pytest.mark.parametrize("engine", ["bridge", "reference", "fast"])
def test_every_engine_computes_there(session, engine):
    assert_same(run(session, "cpu"), run(session, "cuda", engine=engine))


@pytest.mark.parametrize(
    "policy", ["fp32", "bf16", "pahq-int8", "pahq-fp8", "rtn-fp8", "exact-int8"]
)
def test_full_forwards_there_confirm_a_run(session, policy):
    found = verify(run(session, "cuda", policy=policy), session)
    assert found["holds"], found["contradictions"]
    assert found["decisions"]
