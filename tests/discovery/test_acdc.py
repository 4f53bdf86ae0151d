import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pahq.discovery.acdc import Rule, acdc
from pahq.discovery.events import EdgeTested, FocusChanged, ReceiverStarted
from pahq.errors import BadRunFolder, SearchFailed
from pahq.graph.build import Graph, GraphShape

ONE = Graph(GraphShape(1, 1, 2))  # 1 layer, 1 head, 1 MLP: 3 + 2 + 3 = 8 edges


class ByHand:
    """Damage as a function of the set of cut edges; noise as a function of the focus."""

    def __init__(self, damage, *, noise=None):
        self.damage, self.noise = damage, noise or {}
        self.cut, self.component, self.calls = frozenset(), "", []

    def focus(self, component):
        self.component = component
        return {component: "fp32"} if component in self.noise else {}

    def damages(self, receiver, cut_sets):
        self.calls.append((receiver.name, [[s.name for s in cut] for cut in cut_sets]))
        return [self._damage(receiver, cut) for cut in cut_sets]

    def _damage(self, receiver, senders):
        cut = self.cut | {f"{s.name}->{receiver.name}" for s in senders}
        return self.damage(cut) + self.noise.get(self.component, 0.0)

    def commit(self, receiver, senders):
        self.cut |= {f"{s.name}->{receiver.name}" for s in senders}


def additive(cost):
    return lambda cut: sum(cost.get(edge, 0.0) for edge in cut)


def decisions(damage, *, graph=ONE, noise=None, replay=(), **rule):
    found = acdc(
        graph, ByHand(damage, noise=noise), Rule(**{"threshold": 1.0, **rule}), replay=replay
    )
    return [event for event in found if isinstance(event, EdgeTested)]


def kept(damage, **settings):
    return [event.edge for event in decisions(damage, **settings) if event.kept]


def test_keeps_exactly_the_edges_that_cost_at_least_the_threshold():
    cost = {"m0->logits": 4.0, "a0.h0->logits": 0.5, "input->logits": 1.0}
    assert kept(additive(cost)) == ["m0->logits", "input->logits"]


def test_judges_an_edge_given_what_is_already_cut():
    # Two copies of one signal: either may go, never both.
    copies = {"m0->logits", "input->logits"}
    assert kept(lambda cut: float(copies <= cut)) == ["input->logits"]


def test_a_receiver_that_nothing_kept_leads_on_from_is_not_tested():
    found = decisions(additive({"input->logits": 2.0}))
    into_the_head = [event for event in found if event.edge.startswith("input->a0.h0")]
    assert [(e.kept, e.skipped, e.effect) for e in into_the_head] == [(False, True, 0.0)] * 3


def test_every_edge_gets_exactly_one_decision_in_visit_order():
    found = decisions(additive({"m0->logits": 2.0}))
    assert [event.edge for event in found] == [edge.name for edge in ONE.edges()]
    assert [event.i for event in found] == list(range(ONE.edge_count))


def test_noise_that_belongs_to_the_focus_is_not_an_effect():
    noise = {"m0": 7.0, "a0.h0": -3.0}
    cost = {"m0->logits": 2.0, "a0.h0->m0": 2.0, "input->a0.h0<v>": 0.5}
    assert kept(additive(cost), noise=noise) == ["m0->logits", "a0.h0->m0"]


def test_a_negative_effect_removes_an_edge_unless_its_size_is_asked_for():
    damage = additive({"m0->logits": -3.0})
    assert kept(damage) == []
    assert kept(damage, absolute=True) == ["m0->logits"]


def test_damage_after_a_decision_is_the_next_edges_before():
    found = decisions(additive({"m0->logits": 0.25, "a0.h0->logits": 5.0, "input->logits": 0.5}))
    assert [event.damage for event in found[:3]] == [0.25, 0.25, 0.75]


def test_the_nearest_sender_is_tried_first_unless_told_otherwise():
    order = [e.edge for e in decisions(additive({}))][:3]
    assert order == ["m0->logits", "a0.h0->logits", "input->logits"]
    turned = [e.edge for e in decisions(additive({}), order="farthest")][:3]
    assert turned == order[::-1]
    drawn = {
        tuple(e.edge for e in decisions(additive({}), order="shuffled", seed=seed))[:3]
        for seed in range(20)
    }
    assert len(drawn) > 1


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_damage_that_is_not_finite_ends_the_search(broken):
    with pytest.raises(SearchFailed, match=r"logits.*\n.*why"):
        kept(lambda cut: broken)


def test_a_batch_proposes_growing_cut_sets_and_starts_anew_behind_a_kept_edge():
    evaluator = ByHand(additive({"a0.h0->logits": 2.0}))
    list(acdc(ONE, evaluator, Rule(threshold=1.0, batch_size=3)))
    assert evaluator.calls[:3] == [
        ("logits", [[]]),
        ("logits", [["m0"], ["m0", "a0.h0"], ["m0", "a0.h0", "input"]]),
        ("logits", [["m0", "input"]]),
    ]


def test_a_broken_number_behind_a_kept_edge_was_never_asked_for():
    def damage(cut):
        if {"m0->logits", "a0.h0->logits"} <= cut:
            return math.nan
        return float("m0->logits" in cut) * 2

    assert "m0->logits" in kept(damage, batch_size=3)


WORLDS = st.integers(1, 3).flatmap(
    lambda layers: st.tuples(
        st.just(Graph(GraphShape(layers, 2, 4))), st.randoms(use_true_random=False)
    )
)


def random_damage(graph, random):
    """Additive costs plus a few interactions between pairs of edges."""
    edges = [edge.name for edge in graph.edges()]
    cost = {edge: random.choice([0.0, 0.0, 0.4, 1.5, -1.2]) for edge in edges}
    pairs = [(frozenset(random.sample(edges, 2)), random.choice([-1.0, 2.0])) for _ in range(9)]
    return lambda cut: sum(cost[e] for e in cut) + sum(w for p, w in pairs if p <= cut)


@given(WORLDS, st.integers(1, 9), st.sampled_from(["nearest", "farthest", "shuffled"]))
def test_the_batch_size_never_changes_a_decision(world, size, order):
    graph, random = world
    damage = random_damage(graph, random)
    alone = decisions(damage, graph=graph, order=order)
    batched = decisions(damage, graph=graph, order=order, batch_size=size)
    assert [e.kept for e in batched] == [e.kept for e in alone]
    assert [e.effect for e in batched] == pytest.approx([e.effect for e in alone])


@given(WORLDS, st.integers(1, 5), st.floats(0, 1))
def test_an_interrupted_search_goes_on_as_if_nothing_had_happened(world, size, where):
    graph, random = world
    damage = random_damage(graph, random)
    noise = {"m0": 0.7, "a0.h1": -0.2}
    rule = Rule(threshold=1.0, batch_size=size)
    whole = list(acdc(graph, ByHand(damage, noise=noise), rule))
    cut = int(where * len(whole))
    rest = acdc(graph, ByHand(damage, noise=noise), rule, replay=whole[:cut])
    assert whole[:cut] + list(rest) == whole


def test_a_log_of_another_search_is_refused():
    replay = [ReceiverStarted("logits"), FocusChanged("m5", {}, 0.0)]
    with pytest.raises(BadRunFolder, match="focus m5"):
        decisions(additive({}), replay=replay)
