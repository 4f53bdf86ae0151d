import pytest
import torch

from pahq.engine.amounts import PROCESSOR
from pahq.engine.budget import batch_size, full_forward_bytes, search_bytes
from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import Problem
from pahq.engine.reference import ReferenceEvaluator
from pahq.graph.build import Graph
from pahq.graph.nodes import LOGITS
from pahq.metrics import METRICS
from pahq.models.weights import take_weights
from pahq.precision.policy import RECIPES, Plan
from tests.random_models import Recipe, random_bridge, random_prompts


def world(rows):
    return take_weights(random_bridge(Recipe(layers=3, heads=2))), random_prompts(1, rows=rows)


def test_few_prompts_make_large_batches_and_many_make_small_ones():
    sizes = [batch_size(*world(rows), RECIPES["fp32"], 1 << 40) for rows in (1, 40, 400, 900)]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (PROCESSOR.most, 1)


def test_the_limit_is_kept_by_smaller_batches():
    model, prompts = world(3)
    policy = RECIPES["fp32"]
    for wanted in (1, 4, 16):
        limit = search_bytes(model, prompts, policy, wanted)
        assert batch_size(model, prompts, policy, limit) == wanted
    assert batch_size(model, prompts, policy, search_bytes(model, prompts, policy, 1) - 1) == 0


def test_low_precision_keeps_rounded_weights_beside_the_model():
    model, prompts = world(3)
    low, full = (search_bytes(model, prompts, RECIPES[name], 1) for name in ("rtn-int8", "fp32"))
    assert low - full == 4 * sum(model.sizes().values())


@pytest.mark.parametrize("alternatives", [1, 8])
@pytest.mark.parametrize("policy", ["fp32", "exact-int8"])
def test_the_estimate_covers_what_a_search_really_holds(alternatives, policy):
    model, prompts = world(64)
    graph, policy = Graph(model.shape), RECIPES[policy]
    screen = Plan(policy.background(graph)) if policy.screens else None
    problem = Problem(graph, prompts, METRICS["kl"], RECIPES["fp32"])
    evaluator = FastEvaluator(problem, model, screen=screen)
    evaluator.commit(LOGITS, [])
    for receiver in graph.receivers[1:4]:
        evaluator.focus(receiver.component)
        senders = graph.senders_to(receiver)
        cuts = [list(senders[: i + 1]) for i in range(alternatives)]
        evaluator.damages(receiver, cuts, screened=policy.screens)
        evaluator.commit(receiver, [])
    held = sum(tensor.untyped_storage().nbytes() for tensor in tensors_of(evaluator, model))
    estimate = search_bytes(model, prompts, policy, alternatives) - 2 * PROCESSOR.workspace
    assert 0.2 * estimate < held <= estimate


def test_screening_needs_what_mlps_compute_besides():
    model, prompts = world(64)
    exact, low = (search_bytes(model, prompts, RECIPES[name], 1) for name in ("exact-int8", "fp32"))
    hidden = model.blocks[0].mlp.into.shape[1]
    assert exact - low > 3 * 4 * 2 * hidden * sum(batch.clean.numel() for batch in prompts)


def tensors_of(evaluator, model):
    """Return every tensor that is reachable from the evaluator, the model's own left out."""
    found, seen = {}, {id(model), id(evaluator.problem)}
    stack = [evaluator]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            found[item.untyped_storage().data_ptr()] = item
        elif isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list | tuple):
            stack += item
        elif hasattr(item, "__dict__"):
            stack += vars(item).values()
    return found.values()


def test_the_estimate_of_full_forwards_covers_what_they_hold():
    model, prompts = world(64)
    problem = Problem(Graph(model.shape), prompts, METRICS["kl"], RECIPES["fp32"])
    held = tensors_of(ReferenceEvaluator(problem, model), model)
    estimate = full_forward_bytes(model, prompts)
    assert 0.2 * estimate < sum(x.untyped_storage().nbytes() for x in held) <= estimate
