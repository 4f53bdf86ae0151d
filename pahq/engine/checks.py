"""Load-time checks: a model that cannot be reproduced exactly is refused, with the numbers.

They would have caught most silent errors that users of circuit tools report: heads that all read
head 0's input, hooks behind the LayerNorm, weights that were folded on one side only.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from pahq.engine import components
from pahq.engine.problem import NOTHING_CUT
from pahq.engine.reference import Forward, patched_forward
from pahq.errors import CheckFailed
from pahq.graph.build import Graph
from pahq.models.pages import Pages
from pahq.models.weights import HeadWeights, ModelWeights
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan

# Float32 sums in another order differ by a share of what is summed: 1e-4 nats where
# log-probabilities reach down to -10, as 1e-4 of the residual's size.
TOLERANCE = 1e-4
ORDINARY = 10.0
PROMPTS, LENGTH = 2, 12


@torch.no_grad()
def check_model(model: ModelWeights, bridge: Any, *, pages: Pages | None = None) -> None:
    """Compare our forward with the loaded model's on random tokens.

    Args:
        model: the weights.
        bridge: the model they were taken from.
        pages: where the weights are mapped; each layer's are given back once both have read them.

    Raises:
        CheckFailed: naming the check, the component and the numbers.
    """
    tokens = random_tokens(model)
    plan = Plan(RECIPES["fp32"].background(Graph(model.shape)))
    found = pages or Pages()

    def leave(layer: int) -> None:
        found.release(model.layer(layer))

    forward = patched_forward(model, tokens, plan=plan, multiply=Products(), after_layer=leave)
    seen: list[Tensor] = []
    hooks = [("ln_final.hook_in", lambda x, hook: seen.append(x))]
    if found.ranges:
        hooks += [
            (f"blocks.{layer}.hook_out", lambda x, hook, layer=layer: leave(layer))
            for layer in range(len(model.blocks))
        ]
    there = next(bridge.parameters()).device
    theirs = bridge.run_with_hooks(tokens.to(there), fwd_hooks=hooks).to(tokens.device)
    _check_parity(model, forward, theirs)
    found.release([model.unembedding])
    _check_sum(model, forward, seen[0].to(tokens.device))
    for layer in range(len(model.blocks)):
        _check_isolation(model, tokens, plan, forward, layer, leave)


def random_tokens(model: ModelWeights) -> Int[Tensor, "batch pos"]:
    """Return prompts of random tokens, the same every time."""
    generator = torch.Generator().manual_seed(0)
    shape = (PROMPTS, min(LENGTH, model.context))
    return torch.randint(0, model.vocabulary, shape, generator=generator).to(model.embedding.device)


def _check_parity(model: ModelWeights, forward: Forward, theirs: Tensor) -> None:
    ours = components.logits(forward.residual, model, FP32, Products())
    expected = theirs.log_softmax(-1)
    worst = float((ours.log_softmax(-1) - expected).abs().max())
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()) / ORDINARY)
    if not worst <= allowed:
        raise _failed(
            "parity",
            "logits",
            f"log-probabilities differ by {worst:.2g} nats from the loaded model's; "
            f"at most {allowed:.2g} is allowed",
        )


def _check_sum(model: ModelWeights, forward: Forward, theirs: Tensor) -> None:
    biases = sum(block.attention_bias for block in model.blocks)
    worst = float((forward.values.sum(dim=0) + biases - theirs).abs().max())
    allowed = TOLERANCE * max(1.0, float(theirs.abs().max()))
    if not worst <= allowed:
        raise _failed(
            "additive identity",
            "residual stream",
            f"the senders' sum differs by {worst:.2g} from it; at most {allowed:.2g} is allowed",
        )


def _check_isolation(
    model: ModelWeights,
    tokens: Tensor,
    plan: Plan,
    clean: Forward,
    layer: int,
    leave: Callable[[int], None],
) -> None:
    """Change the last head's query input: its output must change, no other of its layer."""
    heads = model.blocks[layer].heads
    last = f"a{layer}.h{len(heads) - 1}"
    noise = torch.Generator().manual_seed(1)
    carried = torch.randn(clean.values.shape, generator=noise).to(clean.values.device)
    patched = patched_forward(
        model,
        tokens,
        plan=plan,
        multiply=Products(),
        cuts={**NOTHING_CUT, f"{last}<q>": frozenset(["input"])},
        carried=carried,
        after_layer=leave,
    )
    first = 1 + layer * (len(heads) + (model.blocks[layer].mlp is not None))
    change = (patched.values - clean.values)[first : first + len(heads)].abs().flatten(1).amax(1)
    moved = [h for h, size in enumerate(change.tolist()) if size > 0]
    expected = [len(heads) - 1] if _can_act(heads[-1]) else []
    if moved != expected:
        raise _failed(
            "isolation",
            last,
            f"after a change of its query input alone, the heads {moved} of its layer changed, "
            f"where {expected} should have",
        )


def _can_act(head: HeadWeights) -> bool:
    """A head with a matrix of zeros (a hand-written model's) never changes its output."""
    return all(bool(w.any()) for w in (head.query, head.key, head.value, head.out))


def _failed(check: str, component: str, numbers: str) -> CheckFailed:
    return CheckFailed(
        f"The load-time check '{check}' failed at {component}: {numbers}.",
        why="a circuit found on a forward that is not the model's would mean nothing",
        fix="use --engine bridge, which runs the loaded model itself",
    )
