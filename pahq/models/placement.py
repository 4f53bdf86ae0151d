"""Where a model's weights lie: all on the device, or some matrices in the host's memory.

A search in low precision needs the FP32 matrices of few components at a time. The others wait in
pinned memory, from which a GPU copies without a detour and beside its work.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from pahq.models.weights import ModelWeights

MATRICES = ("query", "key", "value", "out", "into")  # of heads and MLPs
Part = TypeVar("Part")


def placed(
    model: ModelWeights, device: torch.device, *, on_host: Collection[str] = ()
) -> ModelWeights:
    """Return the same weights, on ``device`` except for the matrices of some components.

    What is there already is not copied; weights that share their memory share the copy's.

    Args:
        model: the weights.
        device: where the search computes.
        on_host: components whose matrices stay in the host's memory: pinned, each output channel
            in one piece; the embedding, of which only rows are read, as it is.
    """
    if model.embedding.device == device and not on_host:
        return model
    move = _Move(device)

    def part(owner: Part, *names: str) -> Part:
        """Return a part of the model, given which components its matrices may belong to."""
        return _moved(owner, move, kept=any(name in on_host for name in names))

    blocks = []
    for layer, block in enumerate(model.blocks):
        heads = tuple(part(head, f"a{layer}.h{h}") for h, head in enumerate(block.heads))
        blocks.append(
            replace(
                block,
                norm=part(block.norm),
                heads=heads,
                attention_bias=move(block.attention_bias),
                mlp=part(block.mlp, f"m{layer}"),
            )
        )
    return ModelWeights(
        embedding=model.embedding if "input" in on_host else move(model.embedding),
        position=move(model.position),
        blocks=tuple(blocks),
        norm=part(model.norm),
        unembedding=_pinned(model.unembedding, device)
        if "logits" in on_host
        else move(model.unembedding),
        unembedding_bias=None if model.unembedding_bias is None else move(model.unembedding_bias),
    )


class _Move:
    """Copies tensors to a device; those that share their memory as one."""

    def __init__(self, device: torch.device):
        self.device = device
        self._moved: dict[tuple[int, int], Tensor] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        if not _is_dense(tensor):
            return tensor.to(self.device)
        key = (tensor.data_ptr(), tensor.numel())
        if key not in self._moved:
            whole = tensor.as_strided((tensor.numel(),), (1,))
            self._moved[key] = whole.to(self.device)
        return self._moved[key].as_strided(tensor.shape, tensor.stride(), 0)


def _moved(owner: Any, move: _Move, *, kept: bool) -> Any:
    """Return a dataclass with its tensors moved; its matrices only if they are not ``kept``."""
    if owner is None:
        return None
    changes: dict[str, Any] = {}
    for field in fields(owner):
        value = getattr(owner, field.name)
        if isinstance(value, Tensor):
            keep = kept and field.name in MATRICES
            changes[field.name] = _pinned(value, move.device) if keep else move(value)
        elif is_dataclass(value):
            changes[field.name] = _moved(value, move, kept=False)
    return replace(owner, **changes)


def _pinned(weight: Tensor, device: torch.device) -> Tensor:
    """Return a matrix in pinned memory, where the device is a GPU and the system allows it."""
    columns = weight.mT.contiguous()
    if device.type == "cuda":
        with suppress(RuntimeError):  # no more memory may be pinned: it is copied more slowly
            columns = columns.pin_memory()
    return columns.mT


def _is_dense(tensor: Tensor) -> bool:
    """Return whether a tensor fills its stretch of memory, in whatever order of axes."""
    reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.numel() > 0 and reach + 1 == tensor.numel()
