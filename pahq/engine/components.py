"""What each component computes. The reference and the fast engine share exactly these functions.

Matrix products run in a number format; LayerNorm, biases, scores, softmax, and pattern times value
are always FP32. Leading axes ``*batch`` are free: rows of a batch, alternatives of a test, ...
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from pahq.models.weights import HeadWeights, MlpWeights, ModelWeights, Norm
from pahq.precision.formats import NumberFormat
from pahq.precision.matmul import Products
from pahq.precision.quantize import round_trip

GELU_APPROXIMATION = {
    "gelu": "none",
    "gelu_new": "tanh",
    "gelu_fast": "tanh",
    "gelu_pytorch_tanh": "tanh",
}


def embed(
    model: ModelWeights, tokens: Int[Tensor, "batch pos"], fmt: NumberFormat
) -> Float[Tensor, "batch pos d_model"]:
    """Return the value of ``input``: token rows in ``fmt`` plus position rows in FP32."""
    rows = model.embedding[tokens.to(model.embedding.device)].to(tokens.device)
    return round_trip(rows, fmt) + model.position[: tokens.shape[1]]


def normalise(
    x: Float[Tensor, "*batch d_model"], norm: Norm | None
) -> Float[Tensor, "*batch d_model"]:
    """Return LayerNorm of ``x``; ``x`` itself in models without one."""
    if norm is None:
        return x
    return F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.epsilon)


def query(
    x: Float[Tensor, "*batch d_model"], head: HeadWeights, fmt: NumberFormat, multiply: Products
) -> Float[Tensor, "*batch d_head"]:
    """Return queries of normalised ``x``."""
    return multiply(x, head.query, fmt, head.query_bias)


def key(
    x: Float[Tensor, "*batch d_model"], head: HeadWeights, fmt: NumberFormat, multiply: Products
) -> Float[Tensor, "*batch d_head"]:
    """Return keys of normalised ``x``."""
    return multiply(x, head.key, fmt, head.key_bias)


def value(
    x: Float[Tensor, "*batch d_model"], head: HeadWeights, fmt: NumberFormat, multiply: Products
) -> Float[Tensor, "*batch d_head"]:
    """Return values of normalised ``x``."""
    return multiply(x, head.value, fmt, head.value_bias)


PROJECTIONS = {"q": query, "k": key, "v": value}


def causal_mask(
    places: Int[Tensor, " query_pos"], count: int
) -> Float[Tensor, "query_pos key_pos"]:
    """Return what is added to the scores of queries at ``places`` and ``count`` keys from 0 on."""
    future = torch.arange(count, device=places.device)[None, :] > places[:, None]
    return torch.zeros(future.shape, device=places.device).masked_fill_(future, -torch.inf)


def attention_pattern(
    queries: Float[Tensor, "... query_pos d_head"],
    keys: Float[Tensor, "... key_pos d_head"],
    scale: float,
    *,
    mask: Float[Tensor, "query_pos key_pos"] | None = None,
) -> Float[Tensor, "... query_pos key_pos"]:
    """Return the causal attention pattern; rows sum to 1. Leading axes broadcast.

    Args:
        queries: queries at some positions.
        keys: keys of all positions from 0 on.
        scale: what scores are divided by.
        mask: of ``causal_mask``; by default that of queries at positions 0, 1, 2, ...
    """
    if mask is None:
        places = torch.arange(queries.shape[-2], device=queries.device)
        mask = causal_mask(places, keys.shape[-2])
    axes = queries.shape[:-2]
    if keys.shape[:-2] != axes:
        axes = torch.broadcast_shapes(axes, keys.shape[:-2])
    q, k = (x.expand(*axes, *x.shape[-2:]).flatten(0, -3) for x in (queries, keys))
    scores = torch.baddbmm(mask, q, k.mT, alpha=1 / scale)
    return scores.softmax(dim=-1).unflatten(0, axes)


def mixed_values(
    q: Float[Tensor, "*batch query_pos d_head"],
    k: Float[Tensor, "*batch key_pos d_head"],
    v: Float[Tensor, "*batch key_pos d_head"],
    scale: float,
    fmt: NumberFormat,
    *,
    mask: Float[Tensor, "query_pos key_pos"] | None = None,
) -> Float[Tensor, "*batch query_pos d_head"]:
    """Return a head's pattern-weighted values as ``fmt`` stores them: the input of W_O."""
    return round_trip(attention_pattern(q, k, scale, mask=mask) @ v, fmt)


def head_output(
    mixed: Float[Tensor, "*batch d_head"], head: HeadWeights, fmt: NumberFormat, multiply: Products
) -> Float[Tensor, "*batch d_model"]:
    """Return what a head writes, given its pattern-weighted values; no bias."""
    return multiply(mixed, head.out, fmt)


def mlp_output(
    x: Float[Tensor, "*batch d_model"], mlp: MlpWeights, fmt: NumberFormat, multiply: Products
) -> Float[Tensor, "*batch d_model"]:
    """Return what an MLP writes, given its input before LayerNorm."""
    x = normalise(x, mlp.norm)
    hidden = multiply.activated(x, mlp.into, fmt, mlp.into_bias, mlp.activation)
    if hidden is None:
        hidden = activate(multiply(x, mlp.into, fmt, mlp.into_bias), mlp.activation)
    return multiply(hidden, mlp.out, fmt, mlp.out_bias)


def activate(x: Float[Tensor, "*batch d_mlp"], name: str) -> Float[Tensor, "*batch d_mlp"]:
    """Return the activation function called ``name`` of ``x``."""
    if name in GELU_APPROXIMATION:
        return F.gelu(x, approximate=GELU_APPROXIMATION[name])
    return F.relu(x) if name == "relu" else F.silu(x)


def logits(
    x: Float[Tensor, "*batch d_model"], model: ModelWeights, fmt: NumberFormat, multiply: Products
) -> Float[Tensor, "*batch vocab"]:
    """Return logits, given the final residual before LayerNorm."""
    x = normalise(x, model.norm)
    return multiply(x, model.unembedding, fmt, model.unembedding_bias)
