"""The reference engine: worked out by hand, then against the model itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.engine.problem import NOTHING_CUT, Problem, cuts_of, everything_cut
from pahq.engine.reference import ReferenceEvaluator, patched_forward
from pahq.graph.build import Graph
from pahq.metrics import kl
from pahq.models.weights import Block, HeadWeights, ModelWeights, take_weights
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan
from tests.random_models import Recipe, random_bridge, random_prompts, recipes


def hand_model():
    """Two layers of one head, d_model 2, no LayerNorm, no MLP; everything is a small integer.

    Tokens 0, 1, 2 embed as (0, 0), (1, 0), (2, 0); positions are zero. Both heads have W_Q = 0, so
    they attend evenly. Head 0 writes (0, mean of x); head 1 reads y and writes (10 * mean of y, 0).
    """
    zero = torch.zeros(2, 1)

    def head(value, out):
        none = torch.zeros(1)
        weights = {
            "query": zero,
            "key": zero,
            "value": torch.tensor(value),
            "out": torch.tensor(out),
        }
        biases = {"query_bias": none, "key_bias": none, "value_bias": none}
        return HeadWeights(**weights, **biases, score_scale=1.0)

    first = head([[1.0], [0.0]], [[0.0, 1.0]])
    second = head([[0.0], [1.0]], [[10.0, 0.0]])
    blocks = tuple(Block(None, (h,), torch.zeros(2), None) for h in (first, second))
    return ModelWeights(
        embedding=torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]),
        position=torch.zeros(4, 2),
        blocks=blocks,
        norm=None,
        unembedding=torch.eye(2),
        unembedding_bias=None,
    )


CLEAN, CORRUPT = torch.tensor([[2, 0]]), torch.tensor([[0, 0]])


def residual(cuts):
    """Return what ``logits`` reads at the last position of the hand model, as two integers."""
    model = hand_model()
    plan = Plan(dict.fromkeys(["input", "a0.h0", "a1.h0", "logits"], "fp32"))
    common = {"plan": plan, "multiply": Products()}
    corrupt = patched_forward(model, CORRUPT, **common).values
    names = {receiver: frozenset(senders) for receiver, senders in cuts.items()}
    forward = patched_forward(model, CLEAN, cuts=names, carried=corrupt, **common)
    return forward.residual[0, 1].tolist()


def test_by_hand_nothing_cut():
    # Head 0 writes (0, 2) at position 0 and (0, (2 + 0) / 2 = 1) at 1; head 1 averages y over the
    # two positions: (2 + 1) / 2 = 1.5, times 10. The last token embeds as (0, 0).
    assert residual({}) == [15.0, 1.0]


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        # On the corrupt prompt every embedding is (0, 0), so every head writes (0, 0).
        ({"logits": ["a0.h0"]}, [15.0, 0.0]),
        ({"logits": ["a1.h0"]}, [0.0, 1.0]),
        ({"a1.h0<v>": ["a0.h0"]}, [0.0, 1.0]),
        ({"a0.h0<v>": ["input"]}, [0.0, 0.0]),
        ({"a0.h0<q>": ["input"]}, [15.0, 1.0]),  # W_Q = 0: no query can matter
        ({"logits": ["a0.h0", "a1.h0", "input"]}, [0.0, 0.0]),
        ({"a1.h0<v>": ["input"]}, [15.0, 1.0]),  # head 1 reads y, the embedding has none
    ],
)
def test_by_hand_with_cuts(cuts, expected):
    assert residual(cuts) == expected


def problem_for(bridge, seed, *, policy="fp32", ablation="corrupt"):
    weights = take_weights(bridge)
    graph = Graph(weights.shape)
    prompts = random_prompts(seed)
    return Problem(graph, prompts, kl, RECIPES[policy], ablation), weights


@given(recipes, st.integers(0, 999))
@settings(max_examples=8, deadline=None)
def test_without_cuts_it_is_the_plain_forward(recipe, seed):
    bridge = random_bridge(recipe)
    weights = take_weights(bridge)
    tokens = random_prompts(seed)[0].clean
    plan = Plan(RECIPES["fp32"].background(Graph(weights.shape)))
    forward = patched_forward(weights, tokens, plan=plan, multiply=Products())
    ours = _logits(forward.residual, weights)
    # float32 in another order of summation
    assert torch.allclose(ours.log_softmax(-1), bridge(tokens).log_softmax(-1), atol=2e-5)


def _logits(residual, weights):
    from pahq.engine import components
    from pahq.precision.formats import FP32

    return components.logits(residual, weights, FP32, Products())


@given(recipes, st.integers(0, 999))
@settings(max_examples=8, deadline=None)
def test_cutting_everything_gives_the_corrupt_prompts_prediction(recipe, seed):
    problem, weights = problem_for(random_bridge(recipe), seed)
    plan = Plan(RECIPES["fp32"].background(problem.graph))
    batch = problem.batches[0]
    corrupt = patched_forward(weights, batch.corrupt, plan=plan, multiply=Products())
    cut = patched_forward(
        weights, batch.clean, plan=plan, multiply=Products(),
        cuts=everything_cut(problem.graph), carried=corrupt.values,
    )  # fmt: skip
    assert torch.allclose(cut.residual, corrupt.residual, atol=1e-4)


def test_the_residual_is_the_sum_of_the_senders_and_the_attention_biases():
    weights = take_weights(random_bridge(Recipe(layers=3, heads=2)))
    plan = Plan(RECIPES["fp32"].background(Graph(weights.shape)))
    forward = patched_forward(weights, random_prompts(1)[0].clean, plan=plan, multiply=Products())
    biases = sum(block.attention_bias for block in weights.blocks)
    assert torch.allclose(forward.values.sum(0) + biases, forward.residual, atol=1e-5)


@pytest.mark.parametrize("kind", ["q", "k", "v"])
@pytest.mark.parametrize("head", [0, 1, 2])
def test_each_head_patched_alone_moves_only_itself(kind, head):
    weights = take_weights(random_bridge(Recipe(layers=2, heads=3)))
    plan = Plan(RECIPES["fp32"].background(Graph(weights.shape)))
    tokens = random_prompts(2)[0].clean
    clean = patched_forward(weights, tokens, plan=plan, multiply=Products())
    carried = torch.randn(clean.values.shape, generator=torch.Generator().manual_seed(0))
    cuts = {f"a0.h{head}<{kind}>": frozenset(["input"])}
    patched = patched_forward(
        weights, tokens, plan=plan, multiply=Products(), cuts=cuts, carried=carried
    )
    change = (patched.values - clean.values)[1:4].abs().flatten(1).amax(1)
    assert [h for h in range(3) if change[h] > 0] == [head]


@pytest.mark.parametrize("policy", ["pahq-int8", "pahq-fp8", "rtn-fp8"])
def test_the_focus_is_computed_in_full_precision_and_nothing_else_changes(policy):
    problem, weights = problem_for(random_bridge(Recipe(heads=2)), 3, policy=policy)
    evaluator = ReferenceEvaluator(problem, weights)
    background = evaluator.damage(NOTHING_CUT)
    raised = evaluator.focus("a1.h0")
    assert raised == ({} if policy == "rtn-fp8" else {"a1.h0": "fp32"})
    assert evaluator.plan["a1.h0"].name == ("fp8-e4m3" if policy == "rtn-fp8" else "fp32")
    assert evaluator.plan["a1.h1"].name == evaluator.background["a1.h1"].name
    assert (evaluator.damage(NOTHING_CUT) == background) == (policy == "rtn-fp8")


def test_the_full_models_own_damage_is_zero():
    problem, weights = problem_for(random_bridge(Recipe()), 4)
    assert ReferenceEvaluator(problem, weights).damage(NOTHING_CUT) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_other_ablations_carry_zeros_or_means(ablation):
    problem, weights = problem_for(random_bridge(Recipe(layers=1)), 5, ablation=ablation)
    carried = ReferenceEvaluator(problem, weights)._carried[0]
    plan = Plan(RECIPES["fp32"].background(problem.graph))
    batch = problem.batches[0]
    corrupt = patched_forward(weights, batch.corrupt, plan=plan, multiply=Products()).values
    expected = torch.zeros_like(corrupt) if ablation == "zero" else corrupt.mean(1, keepdim=True)
    assert torch.allclose(carried, expected.expand_as(carried))


def test_cuts_of_a_circuit_leave_exactly_its_edges():
    graph = Graph(take_weights(random_bridge(Recipe(layers=1))).shape)
    kept = frozenset(["m0->logits", "input->m0"])
    cuts = cuts_of(graph, kept)
    assert "m0" not in cuts["logits"]
    assert sum(map(len, cuts.values())) == graph.edge_count - 2
