"""How far last bits alone move what the reference engine says.

In low precision a sum that comes out one last bit higher can tip a rounding, and that others: two
engines that are both right may then differ by far more than FP32 resolves. Changing what the model
first reads in its last bits shows what such accidents come to.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from pahq.engine.problem import Problem
from pahq.engine.reference import ReferenceEvaluator
from pahq.models.weights import ModelWeights
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products

# Relative size of the changes. A sum of a thousand numbers comes out that far off in FP32; it moves
# damages in FP32 by a fifth of what engines differ by, which round in every layer.
LAST_BITS = 1e-6
SHAKES = 16


def shaken(
    problem: Problem, weights: ModelWeights, *, multiply: Products | None = None
) -> Iterator[ReferenceEvaluator]:
    """Yield ``SHAKES`` reference evaluators of models that differ in last bits.

    Changed are the position vectors, and the token embeddings where they are not rounded: all
    engines round the same ones, to the same codes, so no accident happens there.

    Args:
        problem: what is evaluated.
        weights: the model.
        multiply: products with its weights, if some are rounded already.
    """
    multiply = Products() if multiply is None else multiply
    whole = problem.policy.background(problem.graph)["input"] == FP32.name
    embedding, position = weights.embedding, weights.position
    size = embedding.square().mean().sqrt().to(position.device)
    for seed in range(SHAKES):
        draw = torch.Generator().manual_seed(seed)
        near = replace(
            weights,
            embedding=_noise(embedding, draw).add_(1).mul_(embedding) if whole else embedding,
            # Their sums with embeddings have last bits of the larger one's size.
            position=_noise(position, draw).mul_(position.abs() + size).add_(position),
        )
        yield ReferenceEvaluator(problem, near, multiply=multiply)


def _noise(like: Tensor, draw: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=draw).mul_(LAST_BITS).to(like.device)
