"""Weights move to a device whole, or but for some matrices. (``meta`` stands for a GPU here.)"""

from dataclasses import replace

import pytest
import torch

from pahq.models.placement import placed
from pahq.models.weights import take_weights
from tests.random_models import Recipe, random_bridge

META, CPU = torch.device("meta"), torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return take_weights(random_bridge(Recipe(layers=2, heads=2, family="gpt2")))


def test_what_is_there_already_is_the_same(model):
    assert placed(model, CPU) is model


def test_everything_moves(model):
    found = placed(model, META)
    assert {x.device for x in tensors(found)} == {META}
    for mine, theirs in zip(tensors(found), tensors(model), strict=True):
        assert mine.shape == theirs.shape


def test_matrices_of_some_components_stay_and_all_else_moves(model):
    found = placed(model, META, on_host={"input", "a1.h0", "m0", "logits"})
    stays = {
        "input": (found.embedding, model.embedding),
        "logits": (found.unembedding, model.unembedding),
        **{
            name: (getattr(found.blocks[1].heads[0], name), getattr(model.blocks[1].heads[0], name))
            for name in ("query", "key", "value", "out")
        },
        **{
            name: (getattr(found.blocks[0].mlp, name), getattr(model.blocks[0].mlp, name))
            for name in ("into",)
        },
        "mlp out": (found.blocks[0].mlp.out, model.blocks[0].mlp.out),
    }
    for mine, theirs in stays.values():
        assert torch.equal(mine, theirs)
    here = [x for x in tensors(found) if x.device == CPU]
    assert {id(x) for x in here} == {id(mine) for mine, _ in stays.values()}


def test_each_output_channel_of_a_matrix_on_the_host_lies_in_one_piece(model):
    found = placed(model, META, on_host={"a0.h1", "logits"})
    head = found.blocks[0].heads[1]
    for weight in (head.query, head.key, head.value, head.out, found.unembedding):
        assert weight.mT.is_contiguous()


def test_weights_that_share_their_memory_share_the_copys(model):
    assert model.embedding.data_ptr() == model.unembedding.data_ptr()  # tied, transposed
    found = placed(model, META)
    assert found.embedding.untyped_storage()._cdata == found.unembedding.untyped_storage()._cdata
    assert found.unembedding.stride() == model.unembedding.stride()
    apart = replace(model, unembedding=model.unembedding.clone())
    found = placed(apart, META)
    assert found.embedding.untyped_storage()._cdata != found.unembedding.untyped_storage()._cdata


def test_models_without_mlps_norms_and_biases_move_too():
    weights = take_weights(random_bridge(Recipe(layers=2, heads=2, mlp=False, norm=None)))
    found = placed(replace(weights, unembedding_bias=None), META, on_host={"a0.h0"})
    assert found.blocks[0].mlp is None
    assert found.blocks[0].norm is None
    assert found.norm is None
    assert found.unembedding_bias is None
    assert found.shape == weights.shape


def tensors(owner):
    """Yield every tensor of a model's weights, in the same order for equal models."""
    if isinstance(owner, torch.Tensor):
        yield owner
    elif isinstance(owner, tuple):
        for each in owner:
            yield from tensors(each)
    elif hasattr(owner, "__dataclass_fields__"):
        for name in owner.__dataclass_fields__:
            yield from tensors(getattr(owner, name))
