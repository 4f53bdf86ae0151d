"""What a cut edge carries instead of its sender's current value."""

import torch
from jaxtyping import Float
from torch import Tensor

Values = Float[Tensor, "sender batch pos d_model"]


def carried_values(corrupt: Values, ablation: str) -> Values:
    """Return the value of each sender on a cut edge, given its values on the corrupt prompts.

    ``corrupt`` is those values themselves, ``zero`` nothing at all, ``mean`` their mean over the
    prompts of the same length, position by position.
    """
    if ablation == "zero":
        return torch.zeros_like(corrupt)
    if ablation == "mean":
        return corrupt.mean(dim=1, keepdim=True).expand_as(corrupt)
    return corrupt
