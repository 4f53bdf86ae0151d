"""What is fetched for a focus, in which order, and that a search never reads what is far away."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.discovery.acdc import Rule, acdc
from pahq.discovery.events import EdgeTested, FocusChanged, ReceiverStarted
from pahq.engine.fast import FastEvaluator
from pahq.engine.prefetch import Prefetch, VisitOrder
from pahq.engine.problem import NOTHING_CUT, Problem, cuts_of
from pahq.graph.build import Graph, GraphShape
from pahq.metrics import METRICS
from pahq.models.weights import take_weights
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES
from tests.engine.far_weights import far_away, in_pieces
from tests.random_models import Recipe, random_bridge, random_prompts, recipes

ROUNDING = sorted(name for name, policy in RECIPES.items() if name != "fp32" and not policy.screens)
PROTECTING = ("pahq-int8", "pahq-fp8", "pahq-bf16")


def anything(component):
    return True


def visit(graph):
    """Return an order at its start, and the receivers by name."""
    return VisitOrder(graph), {receiver.name: receiver for receiver in graph.receivers}


# --- the order, without tensors -----------------------------------------------------------------


def test_while_logits_is_tested_the_last_mlp_may_come_next():
    order, _ = visit(Graph(GraphShape(2, 2, 8)))
    order.arrive("logits")
    assert order.ahead(anything) == "m1"
    assert order.ahead(lambda name: name.startswith("a")) == "a1.h0"
    assert order.ahead(lambda name: False) is None


def test_what_nothing_reads_is_passed_over():
    order, at = visit(Graph(GraphShape(2, 2, 8)))
    order.arrive("logits")
    order.leave(at["logits"], ["a1.h1", "a0.h0"])
    # m1 is dead, a1.h0 too; a1.h1 may still keep m0, and every head before it.
    assert order.ahead(anything) == "a1.h1"
    for name in ("m1", "a1.h0<v>"):
        order.leave(at[name], [])
    order.arrive("a1.h1")
    assert order.ahead(anything) == "m0"
    order.leave(at["a1.h1<v>"], ["input"])
    assert order.ahead(anything) == "m0"  # its keys and queries may keep it


def test_heads_come_again_for_keys_and_queries():
    order, at = visit(Graph(GraphShape(1, 2, 8, mlp=False)))
    order.arrive("logits")
    order.leave(at["logits"], ["a0.h0", "a0.h1"])
    seen = []
    for receiver in list(at.values())[1:]:
        order.arrive(receiver.component)
        seen.append(order.ahead(anything))
        order.leave(receiver, ["input"])
    assert seen == ["a0.h1", "a0.h0", "a0.h1", "a0.h0", "a0.h1", None]


def test_a_focus_that_goes_on_is_not_its_own_next():
    order, at = visit(Graph(GraphShape(2, 1, 8, mlp=False)))
    order.arrive("logits")
    order.leave(at["logits"], ["a1.h0"])
    order.arrive("a1.h0")
    assert order.ahead(anything) == "a0.h0"
    order.leave(at["a1.h0<v>"], [])
    assert order.ahead(anything) == "a0.h0"  # its keys may keep it
    order.leave(at["a1.h0<k>"], [])
    order.leave(at["a1.h0<q>"], [])
    assert order.ahead(anything) is None


def test_at_the_end_nothing_is_ahead():
    order, at = visit(Graph(GraphShape(1, 1, 8)))
    for receiver in at.values():
        order.leave(receiver, ["input"])
    assert order.ahead(anything) is None


@given(st.integers(1, 4), st.integers(1, 3), st.booleans(), st.floats(0, 1), st.randoms())
def test_whoever_comes_into_focus_was_ahead(layers, heads, mlp, share, random):
    graph = Graph(GraphShape(layers, heads, 8, mlp=mlp))
    order, alive, focus, ahead = VisitOrder(graph), {"logits"}, "", None
    for receiver in graph.receivers:
        component = receiver.component
        if component in alive:
            if component != focus:
                assert ahead == (component if focus else None)
                order.arrive(component)
                focus = component
            kept = [s.name for s in graph.senders_to(receiver) if random.random() < share]
        else:
            kept = []
        alive.update(kept)
        order.leave(receiver, kept)
        ahead = order.ahead(anything)
    assert ahead is None


# --- whole searches -----------------------------------------------------------------------------


def world(recipe, seed, policy, *, rows=4, metric="kl"):
    weights = in_pieces(take_weights(random_bridge(recipe)))
    graph = Graph(weights.shape)
    prompts = random_prompts(seed, rows=rows)
    problem = Problem(graph, prompts, METRICS[metric], RECIPES[policy])
    background = problem.policy.background(graph)
    low = {name for name, fmt in background.items() if fmt != "fp32"} - {"input"}
    far, residency = far_away(weights, low)
    return problem, weights, far, residency


def search(evaluator, problem, rule=Rule(threshold=1e-3, batch_size=4)):  # noqa: B008 - frozen
    return list(acdc(problem.graph, evaluator, rule))


@given(recipes, st.integers(0, 999), st.sampled_from(ROUNDING), st.sampled_from(sorted(METRICS)))
@settings(max_examples=8, deadline=None)
def test_a_search_never_reads_what_lies_elsewhere(recipe, seed, policy, metric):
    problem, near, far, residency = world(recipe, seed, policy, metric=metric)
    fast = FastEvaluator(problem, far, multiply=Products(residency=residency))
    assert search(fast, problem) == search(FastEvaluator(problem, near), problem)


@pytest.mark.parametrize("policy", PROTECTING)
def test_fp32s_damage_of_a_circuit_is_computed_from_far_away_too(policy):
    problem, near, far, residency = world(Recipe(layers=3, heads=2), 7, policy)
    full = Problem(problem.graph, problem.batches, problem.metric, RECIPES["fp32"])
    multiply = Products(residency=residency)
    FastEvaluator(problem, far, multiply=multiply)
    cuts = cuts_of(problem.graph, frozenset(e.name for e in list(problem.graph.edges())[::2]))
    for each in (NOTHING_CUT, cuts):
        found = FastEvaluator(full, far, multiply=multiply).damage(each)
        assert found == FastEvaluator(full, near).damage(each)


def focused(events):
    return [event for event in events if isinstance(event, FocusChanged) and event.formats]


@pytest.mark.parametrize("policy", PROTECTING)
@pytest.mark.parametrize("threshold", [1e-3, 0.3])
def test_every_focus_is_fetched_and_what_was_in_vain_is_counted(policy, threshold):
    problem, _, far, residency = world(Recipe(layers=2, heads=3), 7, policy, rows=2)
    evaluator = FastEvaluator(problem, far, multiply=Products(residency=residency))
    events = search(evaluator, problem, Rule(threshold=threshold, batch_size=8))
    found = evaluator.prefetch.found
    raised = focused(events)
    assert found.used + found.late == len(raised) > 0
    # One that is ahead at the end is not yet in vain; after the last receiver none is.
    assert found.prefetched == found.used + found.wasted
    # The first focus of all has nobody before it; all others were on their way.
    assert found.late == (raised[0].focus == "logits")
    if threshold == 0.3:
        assert found.wasted > 0
    tested = {e.edge for e in events if isinstance(e, EdgeTested) and not e.skipped}
    assert len(tested) > len(raised)


def test_only_the_focus_and_the_next_are_held():
    problem, _, far, residency = world(Recipe(layers=3, heads=2), 7, "pahq-int8")
    evaluator = FastEvaluator(problem, far, multiply=Products(residency=residency))
    for event in acdc(problem.graph, evaluator, Rule(threshold=1e-3, batch_size=4)):
        if isinstance(event, ReceiverStarted):
            assert len(residency._copies) <= 2 * 4
    sizes = sorted(4 * size for name, size in far.sizes().items() if name != "input")
    assert 0 < residency.most_bytes <= sizes[-1] + sizes[-2]
    memory = evaluator.memory()
    assert memory["weights_high"] == residency.most_bytes + 4 * far.embedding.numel()


def test_weights_in_focus_are_fetched_once():
    problem, _, far, residency = world(Recipe(layers=2, heads=2), 3, "pahq-int8")
    evaluator = FastEvaluator(problem, far, multiply=Products(residency=residency))
    logits, before = problem.graph.receivers[0], residency.copies
    evaluator.focus("logits")
    for count in (1, 2, 3):
        evaluator.damages(logits, [problem.graph.senders_to(logits)[:count]])
    assert [id(w) for w in residency.begun[:1]] == [id(far.unembedding)]
    assert residency.copies == before + 1 + 2  # and what the last MLP needs


def test_without_far_weights_nothing_is_fetched():
    problem, near, _, _ = world(Recipe(layers=2, heads=2), 3, "pahq-int8")
    evaluator = FastEvaluator(problem, near)
    search(evaluator, problem)
    assert evaluator.prefetch.as_dict() is None
    assert evaluator.prefetch.found.prefetched == 0


def test_a_policy_that_protects_nothing_fetches_nothing():
    problem, _, far, residency = world(Recipe(layers=2, heads=2), 3, "rtn-int8")
    evaluator = FastEvaluator(problem, far, multiply=Products(residency=residency))
    search(evaluator, problem)
    assert set(evaluator.prefetch.as_dict().values()) == {0}
    assert residency.begun == []


def test_a_resumed_search_counts_what_it_fetches_itself():
    problem, _, far, residency = world(Recipe(layers=2, heads=2), 3, "pahq-int8")
    rule = Rule(threshold=1e-3, batch_size=4)
    whole = search(FastEvaluator(problem, far, multiply=Products(residency=residency)), problem)
    evaluator = FastEvaluator(problem, far, multiply=Products(residency=residency))
    rest = list(acdc(problem.graph, evaluator, rule, replay=whole[: len(whole) // 2]))
    assert whole[: len(whole) // 2] + rest == whole
    assert isinstance(evaluator.prefetch, Prefetch)
    assert evaluator.prefetch.found.used > 0


def test_a_decoy_would_be_noticed():
    _, near, far, _ = world(Recipe(layers=2, heads=2), 3, "pahq-int8")
    assert far.blocks[0].heads[0].out.isnan().all()
    assert torch.equal(far.embedding, near.embedding)
