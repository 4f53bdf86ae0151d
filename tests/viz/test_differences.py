import json

import plotly.graph_objects as go
import pytest
from made_logs import TINY, events

from pahq.graph.build import Graph, GraphShape
from pahq.graph.circuit import Circuit
from pahq.viz.differences import (
    Difference,
    difference_json,
    edge_path,
    moments,
    small_circuit_json,
    small_precision_json,
    telling_focus,
)
from pahq.viz.layout import Layout
from pahq.viz.view import view_at

SHAPE = GraphShape(n_layers=2, n_heads=2, d_model=8)
EDGES = [edge.name for edge in Graph(SHAPE).edges()]


def circuit(**effects: float) -> Circuit:
    """``a=0.5`` keeps the edge that ``NAMED`` calls a."""
    named = {NAMED[letter]: effect for letter, effect in effects.items()}
    return Circuit(SHAPE, dict.fromkeys(EDGES, 0.0) | named, frozenset(named))


NAMED = {"a": "m1->logits", "b": "a1.h0->m1", "c": "input->a1.h0<q>", "d": "a0.h1->m1"}


def pair(a: Circuit, b: Circuit) -> Difference:
    return Difference(a, b, names=("Full precision", "Uniform <8>"), threshold=0.1, unit="nats")


@pytest.fixture
def difference():
    return pair(circuit(a=5.0, b=0.2, c=0.11), circuit(a=4.0, b=0.3, d=0.12))


def lines(figure: dict, kind: str) -> list[dict]:
    return [t for t in figure["data"] if t["mode"] == "lines" and t["meta"] == kind]


def test_every_kept_edge_is_of_both_or_of_one(difference):
    assert difference.edges == {
        "both": ["m1->logits", "a1.h0->m1"],
        "reference": ["input->a1.h0<q>"],
        "other": ["a0.h1->m1"],
    }


def test_a_node_is_in_both_in_one_or_in_neither(difference):
    assert difference.nodes["a1.h0"] == "both"
    assert difference.nodes["a0.h1"] == "other"
    assert difference.nodes["a0.h0"] is None
    assert difference.nodes["logits"] == "both"


def test_both_is_grey_the_reference_blue_the_other_orange_and_dashed(difference):
    figure = difference_json(difference)
    looks = {
        kind: {(t["line"]["color"], t["line"]["dash"]) for t in lines(figure, kind)}
        for kind in ("both", "reference", "other")
    }
    assert looks == {
        "both": {("#5a6672", "solid")},
        "reference": {("#0072b2", "solid")},
        "other": {("#d55e00", "7px,4px")},
    }


def test_what_differs_lies_on_top_and_is_never_a_hairline(difference):
    drawn = [t["meta"] for t in difference_json(difference)["data"] if t["mode"] == "lines"]
    assert drawn == sorted(drawn, key=["both", "reference", "other"].index)
    for kind in ("reference", "other"):
        assert all(t["line"]["width"] >= 2 for t in lines(difference_json(difference), kind))


def test_each_edge_says_who_keeps_it_and_with_which_effects(difference):
    handles = [t for t in difference_json(difference)["data"] if "customdata" in t]
    words = {e: w for t in handles for e, w in zip(t["customdata"], t["text"], strict=True)}
    assert set(words) == set(NAMED.values())
    found = words["input->a1.h0<q>"]
    assert "a1.h0&lt;q&gt;" in found
    assert "kept by Full precision only" in found
    assert "Full precision +0.11, Uniform &lt;8&gt; +0 nats" in found


def test_where_not_all_can_be_drawn_what_differs_goes_first(difference):
    assert difference.drawn(3) == {
        "reference": ["input->a1.h0<q>"], "other": ["a0.h1->m1"], "both": ["m1->logits"]
    }  # fmt: skip


def test_the_more_edges_agree_the_fainter_they_are():
    names = [edge.name for edge in Graph(TINY).edges()]
    everything = Circuit(TINY, dict.fromkeys(names, 1.0), frozenset(names))
    few = circuit(a=1.0)
    (many,), (one,) = (
        {trace["opacity"] for trace in lines(difference_json(pair(same, same)), "both")}
        for same in (everything, few)
    )
    assert (many, one) == (0.25, 0.55)


def test_equal_and_empty_circuits_can_be_drawn():
    for same in (circuit(a=1.0), circuit()):
        figure = difference_json(pair(same, same))
        assert not lines(figure, "reference") + lines(figure, "other")
        go.Figure(figure)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_figure_is_accepted_by_plotly(difference, theme):
    log = events(policy="pahq-int8")
    view = view_at(log)
    for figure in (
        difference_json(difference, theme=theme),
        small_circuit_json(view, theme=theme),
        small_precision_json(view, moments(log), theme=theme),
    ):
        assert json.loads(go.Figure(figure).to_json())["data"]
        assert figure["layout"]["font"]["color"] == {"light": "#16202b", "dark": "#e8edf2"}[theme]


def test_the_small_circuit_keeps_the_places_of_the_large_one():
    view = view_at(events())
    nodes = small_circuit_json(view)["data"][-1]
    places = {node.name: (node.x, node.y) for node in Layout(TINY).nodes}
    assert list(zip(nodes["x"], nodes["y"], strict=True)) == [
        (pytest.approx(x, abs=1e-3), pytest.approx(y, abs=1e-3)) for x, y in places.values()
    ]


def test_what_is_raised_in_its_turn_has_a_ring():
    log = events(policy="pahq-int8")
    raised = moments(log)
    cells = small_precision_json(view_at(log), raised)["data"][0]
    rings = zip(cells["ids"], cells["marker"]["line"]["width"], strict=True)
    ringed = {name for name, width in rings if width}
    assert ringed == set(raised)


def test_uniform_precision_raises_nothing():
    log = events(policy="rtn-int8")
    assert moments(log)
    assert not any(moments(log).values())
    cells = small_precision_json(view_at(log), moments(log))["data"][0]
    assert not any(cells["marker"]["line"]["width"])


def test_the_telling_moment_is_at_the_head_with_the_strongest_edge_into_it():
    assert telling_focus(circuit(a=5.0, b=2.0, c=0.5)) == "a1.h0"
    assert telling_focus(circuit(a=5.0)) is None


def test_an_edge_can_be_lit_up_where_it_is_drawn():
    path = edge_path("a1.h0->m1", Layout(SHAPE))
    assert len(path["x"]) == len(path["y"]) > 2
    assert path["y"][0] < path["y"][-1]
