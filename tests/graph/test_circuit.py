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


def names_of_eap_ig(n_layers, n_heads, *, parallel):
    """Return the names of nodes and edges that EAP-IG's graph of a model knows."""
    before, nodes, edges = ["input"], ["input"], set()
    for layer in range(n_layers):
        heads, mlp = [f"a{layer}.h{h}" for h in range(n_heads)], f"m{layer}"
        read_by_mlp = before if parallel else before + heads
        edges |= {f"{a}->{b}<{letter}>" for a in before for b in heads for letter in "qkv"}
        edges |= {f"{a}->{mlp}" for a in read_by_mlp}
        before = [*before, *heads, mlp]
        nodes += [*heads, mlp]
    return {*nodes, "logits"}, edges | {f"{a}->logits" for a in before}


@pytest.mark.parametrize("mlp", [True, False], ids=["mlp", "attention only"])
@pytest.mark.parametrize("parallel", [False, True], ids=["sequential", "parallel"])
@pytest.mark.parametrize(("n_layers", "n_heads"), [(1, 1), (1, 2), (3, 2)])
def test_the_file_holds_what_eap_ig_reads(tmp_path, n_layers, n_heads, parallel, mlp):
    """What ``Graph.from_json`` of EAP-IG needs, from its format alone: it is on no package index.

    Source: github.com/hannamw/EAP-IG, src/eap/graph.py at 4fad6c6. It makes the graph that belongs
    to ``cfg`` (n_layers, n_heads, d_model, parallel_attn_mlp, each by its key), then looks every
    node but logits and every edge up by name, where one that it does not know is a KeyError, and
    puts ``in_graph`` into bool tensors and ``score`` into a float32 one. ``score``, ``neurons`` and
    ``neurons_scores`` of a node change how it reads the rest, so there must be none. What is not
    named stays out of the graph: an attention-only model leaves out its m nodes and their edges.
    """
    shape = GraphShape(n_layers, n_heads, 4, mlp=mlp, parallel=parallel)
    order = [edge.name for edge in Graph(shape).edges()]
    made = Circuit(shape, dict.fromkeys(order, 0.25), frozenset(order[::2]), frozenset(order[-2:]))
    path = tmp_path / "circuit.json"
    path.write_text(json.dumps(made.to_json()))
    data = json.loads(path.read_text())

    cfg = {"n_layers": n_layers, "n_heads": n_heads, "d_model": 4, "parallel_attn_mlp": parallel}
    assert data["cfg"] == cfg
    assert {key: type(value) for key, value in data["cfg"].items()} == {
        "n_layers": int, "n_heads": int, "d_model": int, "parallel_attn_mlp": bool,
    }  # fmt: skip
    nodes, edges = names_of_eap_ig(n_layers, n_heads, parallel=parallel)
    if not mlp:
        nodes = {name for name in nodes if name[0] != "m"}
        edges = {name for name in edges if not name.startswith("m") and "->m" not in name}
    assert set(data["nodes"]) == nodes
    assert set(data["edges"]) == edges
    assert all(set(node) == {"in_graph"} for node in data["nodes"].values())
    for record in [*data["nodes"].values(), *data["edges"].values()]:
        assert type(record["in_graph"]) is bool
    for name, record in data["edges"].items():
        assert type(record["score"]) is float
        assert record["in_graph"] == (name in made.kept)


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
