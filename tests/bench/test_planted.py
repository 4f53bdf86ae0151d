"""The planted model does what the small one does, and its circuit is the small one's."""

import pytest
import torch

from pahq.bench.planted import Shape, moved, plant
from pahq.models.loading import load_model
from pahq.models.locate import find_directory
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    # 768 wide as four copies of 192; ten heads need a width that divides it.
    target = tmp_path_factory.mktemp("planted")
    shape = Shape(layers=6, heads=12, d_mlp=800, vocabulary=600, context=70)
    places = plant(find_directory("tiny-gpt"), target, shape=shape, noise=0.001)
    return target, places


def test_without_noise_it_predicts_what_the_small_model_predicts(tmp_path):
    shape = Shape(layers=6, heads=12, d_mlp=800, vocabulary=600, context=70)
    plant(find_directory("tiny-gpt"), tmp_path, shape=shape, noise=0.0)
    cpu = torch.device("cpu")
    small, large = load_model("tiny-gpt", device=cpu), load_model(str(tmp_path), device=cpu)
    tokens = torch.randint(0, 466, (3, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = large.bridge(tokens).softmax(-1)[..., :466]
        theirs = small.bridge(tokens).softmax(-1)
    # The padding of heads is noise that scores feel a little.
    assert float((ours - theirs).abs().max()) < 0.05


def test_the_small_models_circuit_is_found_in_it(planted):
    target, places = planted
    assert places == (0, 2, 3, 5)
    session = Session()
    found = {}
    for model in ("tiny-gpt", str(target)):
        config = make_config(model=model, task="greater-than", threshold=0.03, examples=3)
        circuit = session.start(config).circuit
        found[model] = {name for name, edge in circuit["edges"].items() if edge["in_graph"]}
    wanted = {moved(edge, places) for edge in found["tiny-gpt"]}
    assert len(wanted) > 5
    assert wanted <= found[str(target)]


def test_a_model_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not fit"):
        plant(find_directory("tiny-gpt"), tmp_path, shape=Shape(d_model=200, heads=10))
    assert list(tmp_path.iterdir()) == []


def test_edges_are_renamed_by_layer_alone():
    assert moved("a1.h3->m2", (1, 4, 7, 10)) == "a4.h3->m7"
    assert moved("input->a0.h1<q>", (1, 4)) == "input->a1.h1<q>"
    assert moved("m1->logits", (1, 4)) == "m4->logits"
