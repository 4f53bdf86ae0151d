"""Changes in last bits reach what is computed, and change no token's code."""

import pytest
import torch

from pahq.engine.problem import everything_cut
from pahq.engine.shaken import LAST_BITS, SHAKES, shaken
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session


@pytest.fixture(scope="module")
def session():
    return Session()


@pytest.mark.parametrize("policy", ["fp32", "pahq-int8", "rtn-int8", "bf16"])
def test_every_shake_is_another_and_all_are_near(session, policy):
    config = make_config(
        model="attn-2l", task="induction", threshold=1.0, examples=4, policy=policy
    )
    prepared = session.prepare(config)
    weights, problem = prepared.weights, prepared.problem(prepared.policy)
    rounded = problem.policy.background(problem.graph)["input"] != "fp32"
    largest = max(weights.embedding.abs().max(), weights.position.abs().max())
    cut = everything_cut(prepared.graph)
    found = []
    for evaluator in shaken(problem, weights):
        near = evaluator.model
        assert torch.equal(near.embedding, weights.embedding) == rounded
        assert not torch.equal(near.position, weights.position)
        assert (near.position - weights.position).abs().max() < 10 * LAST_BITS * largest
        found.append(evaluator.damage(cut))
    assert len(found) == SHAKES
    assert len(set(found)) > SHAKES // 2
    middle = sum(found) / SHAKES
    assert max(found) - min(found) < (1e-5 if policy == "fp32" else 0.05) * max(1.0, middle)
