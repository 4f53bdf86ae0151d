import pytest

from pahq.graph.build import Graph, GraphShape


def names(graph, receiver):
    [found] = [r for r in graph.receivers if r.name == receiver]
    return [sender.name for sender in graph.senders_to(found)]


@pytest.mark.parametrize(
    ("shape", "edges"),
    [
        (GraphShape(12, 12, 768), 32_491),  # GPT-2 small
        (GraphShape(24, 16, 1024), 231_877),
        (GraphShape(4, 8, 512, mlp=False), 1_281),
        (GraphShape(2, 8, 256, mlp=False), 257),
        (GraphShape(24, 14, 896), 179_749),
    ],
)
def test_edge_counts_equal_those_of_eap_ig(shape, edges):
    graph = Graph(shape)
    assert graph.edge_count == edges
    if edges < 50_000:
        assert len({edge.name for edge in graph.edges()}) == edges


def test_receivers_are_visited_from_the_output_back_with_v_before_k_before_q():
    graph = Graph(GraphShape(2, 2, 4))
    assert [r.name for r in graph.receivers] == [
        "logits",
        "m1", "a1.h0<v>", "a1.h1<v>", "a1.h0<k>", "a1.h1<k>", "a1.h0<q>", "a1.h1<q>",
        "m0", "a0.h0<v>", "a0.h1<v>", "a0.h0<k>", "a0.h1<k>", "a0.h0<q>", "a0.h1<q>",
    ]  # fmt: skip


def test_senders_come_nearest_first_and_input_last():
    graph = Graph(GraphShape(2, 2, 4))
    assert names(graph, "logits") == ["m1", "a1.h0", "a1.h1", "m0", "a0.h0", "a0.h1", "input"]
    assert names(graph, "a1.h0<q>") == ["m0", "a0.h0", "a0.h1", "input"]


def test_heads_write_to_the_mlp_of_their_layer_only_in_sequential_blocks():
    assert "a0.h1" in names(Graph(GraphShape(1, 2, 4)), "m0")
    assert names(Graph(GraphShape(1, 2, 4, parallel=True)), "m0") == ["input"]


def test_shared_key_value_heads_are_received_once():
    graph = Graph(GraphShape(1, 4, 8, n_kv_heads=2))
    assert [r.name for r in graph.receivers if r.kind == "k"] == ["a0.kv0<k>", "a0.kv1<k>"]
    assert graph.readers("a0.kv1") == ("a0.h2", "a0.h3")
    assert graph.readers("a0.h1") == ("a0.h1",)


def test_an_edge_exists_only_where_the_sender_comes_first():
    graph = Graph(GraphShape(3, 2, 4))
    order = {name: i for i, name in enumerate(graph.components)}
    for edge in graph.edges():
        assert order[edge.sender.name] < order[edge.receiver.component]
