import json

import pytest

from pahq.errors import BadRunFolder
from pahq.graph.build import Graph, GraphShape
from pahq.graph.circuit import Circuit, read_circuit

SHAPE = GraphShape(1, 2, 4)


def circuit(kept=("a0.h1->logits", "input->a0.h1<v>"), undecided=()):
    effects = {e.name: 0.5 if e.name in kept else 0.0 for e in Graph(SHAPE).edges()}
    return Circuit(SHAPE, effects, frozenset(kept), frozenset(undecided), {"status": "finished"})


def test_a_node_is_in_the_circuit_if_a_kept_edge_leaves_it():
    assert circuit().nodes == ("input", "a0.h1", "logits")
    assert circuit(kept=()).nodes == ("input", "logits")


def test_it_reads_back_as_it_was_written(tmp_path):
    written = circuit(undecided=["input->m0"])
    path = tmp_path / "circuit.json"
    path.write_text(json.dumps(written.to_json()))
    found = read_circuit(path)
    assert (found.effects, found.kept) == (written.effects, written.kept)
    assert list(found.effects) == list(written.effects)  # visit order
    assert found.undecided == {"input->m0"}


def test_the_file_keeps_what_eap_ig_needs():
    # Graph.from_json builds a graph from cfg, then sets in_graph of every node but logits and
    # score and in_graph of every edge: each name must be one that it knows.
    data = circuit().to_json()
    assert set(data["cfg"]) == {"n_layers", "n_heads", "d_model", "parallel_attn_mlp"}
    assert set(data["nodes"]) == {"input", "a0.h0", "a0.h1", "m0", "logits"}
    assert all(set(node) == {"in_graph"} for node in data["nodes"].values())
    assert set(data["edges"]) == {edge.name for edge in Graph(SHAPE).edges()}
    assert all({"score", "in_graph"} <= set(edge) for edge in data["edges"].values())


def test_unknown_fields_are_ignored():
    data = circuit().to_json()
    data["neurons"] = {}
    data["edges"]["input->m0"]["colour"] = "red"
    data["pahq"]["later"] = 1
    assert read_circuit(data).kept == circuit().kept


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.pop("cfg"), "cfg"),
        (lambda d: d["edges"].update({"m0->a0.h0<q>": {"score": 0.0, "in_graph": True}}), "m0->a0"),
        (lambda d: d["edges"]["input->m0"].update(score=float("nan")), "finite"),
        (lambda d: d["pahq"].update(format_version=9), "format_version"),
    ],
)
def test_a_damaged_file_is_refused_with_the_reason(change, why):
    data = circuit().to_json()
    change(data)
    with pytest.raises(BadRunFolder, match=why):
        read_circuit(data)


def test_as_a_networkx_graph_every_kept_edge_is_there():
    graph = circuit().to_networkx()
    assert set(graph.edges(keys=True)) == {
        ("a0.h1", "logits", "logits"),
        ("input", "a0.h1", "a0.h1<v>"),
    }
