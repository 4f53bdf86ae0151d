import pytest
from made_logs import SMALL, TINY

from pahq.graph.build import Graph, GraphShape
from pahq.viz.layout import Layout, bezier

ATTENTION_ONLY = GraphShape(n_layers=2, n_heads=4, d_model=32, mlp=False)
GROUPED = GraphShape(n_layers=2, n_heads=8, d_model=32, n_kv_heads=2)
ODD = GraphShape(n_layers=2, n_heads=25, d_model=32)


@pytest.mark.parametrize("shape", [TINY, SMALL, ATTENTION_ONLY, GROUPED, ODD])
def test_no_two_nodes_share_a_place(shape):
    places = [(round(n.x, 3), round(n.y, 3)) for n in Layout(shape).nodes]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("shape", [TINY, SMALL, ATTENTION_ONLY, GROUPED])
def test_every_edge_goes_upwards(shape):
    layout = Layout(shape)
    for edge in Graph(shape).edges():
        low = layout.nodes[layout.index[edge.sender.name]]
        high = layout.nodes[layout.index[layout.drawn(edge.receiver.component)]]
        assert low.y < high.y, edge.name


def test_a_layer_above_stands_above():
    heights = [n.y for n in Layout(TINY).nodes if n.kind == "head" and n.slot == 0]
    assert heights == sorted(heights)


def test_heads_of_a_layer_stand_in_the_order_of_their_numbers():
    row = [n.x for n in Layout(TINY).nodes if n.kind == "head" and n.layer == 2]
    assert row == [float(h) for h in range(8)]


@pytest.mark.parametrize("shape", [TINY, ODD])
def test_input_and_logits_stand_between_two_slots(shape):
    assert Layout(shape).middle % 1 == 0.5


def test_a_shared_key_head_is_drawn_at_a_head_of_its_group():
    assert Layout(GROUPED).drawn("a1.kv1") in {f"a1.h{h}" for h in range(4, 8)}


def test_a_curve_begins_and_ends_where_it_should():
    xs, ys = bezier((1.0, 0.0), (5.0, 3.0))
    assert (xs[0], ys[0], xs[-1], ys[-1]) == (1.0, 0.0, 5.0, 3.0)
