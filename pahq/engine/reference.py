"""The reference engine: one obvious full forward of the model per test, for every policy.

No shortcut is taken: whatever is faster must agree with this.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.engine.cache import Values, carried_values
from pahq.engine.problem import NOTHING_CUT, Cuts, Problem, with_cuts
from pahq.graph.nodes import Receiver, Sender
from pahq.metrics import Targets, damage, task_score, unpatched
from pahq.models.weights import Block, ModelWeights
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan
from pahq.tasks.batches import PromptBatch


@dataclass(frozen=True, eq=False)
class Forward:
    """One forward pass.

    Attributes:
        values: (sender, batch, pos, d_model) what each sender wrote, in forward order.
        residual: (batch, pos, d_model) what ``logits`` reads, before the last LayerNorm.
    """

    values: Values
    residual: Float[Tensor, "batch pos d_model"]


@torch.no_grad()
def patched_forward(
    model: ModelWeights,
    tokens: Int[Tensor, "batch pos"],
    *,
    plan: Plan,
    multiply: Products,
    cuts: Cuts = NOTHING_CUT,
    carried: Values | None = None,
    after_layer: Callable[[int], None] = lambda layer: None,
) -> Forward:
    """Run the model; a receiver reads, for each sender cut from it, the carried value instead.

    Args:
        model: the weights.
        tokens: token ids.
        plan: format of each component.
        multiply: matrix products (shared between calls: it keeps rounded weights).
        cuts: which edges are cut; none by default.
        carried: (sender, batch, pos, d_model) what a cut edge carries; needed with cuts.
        after_layer: is told the number of each layer that is done.
    """
    stream = _Stream(model, components.embed(model, tokens, plan["input"]), cuts, carried)
    for layer, block in enumerate(model.blocks):
        heads = _attention(stream, layer, block, plan, multiply)
        stream.write([f"a{layer}.h{h}" for h in range(len(heads))], heads, block.attention_bias)
        if block.mlp is not None:
            name = f"m{layer}"
            x = stream.read([name])[0]
            out = components.mlp_output(x, block.mlp, plan[name], multiply)
            stream.write([name], out[None])
        after_layer(layer)
    return Forward(stream.values, stream.read(["logits"])[0])


def _attention(
    stream: "_Stream", layer: int, block: Block, plan: Plan, multiply: Products
) -> Float[Tensor, "head batch pos d_model"]:
    """Return what each head of a layer writes."""
    names = [f"a{layer}.h{h}" for h in range(len(block.heads))]
    reads = stream.read([f"{name}<{kind}>" for kind in "qkv" for name in names])
    x = components.normalise(reads, block.norm).unflatten(0, (3, len(names)))
    outputs = []
    for h, (name, head) in enumerate(zip(names, block.heads, strict=True)):
        fmt = plan[name]
        q = components.query(x[0, h], head, fmt, multiply)
        k = components.key(x[1, h], head, fmt, multiply)
        v = components.value(x[2, h], head, fmt, multiply)
        mixed = components.attention_pattern(q, k, head.score_scale) @ v
        outputs.append(components.head_output(mixed, head, fmt, multiply))
    return torch.stack(outputs)


class _Stream:
    """The residual stream of one forward, and who has written into it."""

    def __init__(self, model: ModelWeights, embedded: Tensor, cuts: Cuts, carried: Values | None):
        senders = 1 + len(model.blocks) * (
            len(model.blocks[0].heads) + (model.blocks[0].mlp is not None)
        )
        self.values = embedded.new_zeros((senders, *embedded.shape))
        self.names: list[str] = []
        self.residual = torch.zeros_like(embedded)
        self.cuts, self.carried = cuts, carried
        self.write(["input"], embedded[None])

    def write(self, names: list[str], values: Tensor, bias: Tensor | None = None) -> None:
        start = len(self.names)
        self.names += names
        self.values[start : start + len(names)] = values
        self.residual = self.residual + values.sum(dim=0)
        if bias is not None:
            self.residual = self.residual + bias

    def read(self, receivers: Sequence[str]) -> Float[Tensor, "receiver batch pos d_model"]:
        """Return what each receiver reads: the residual minus its cut senders' differences."""
        cuts = [self.cuts.get(name, frozenset()) for name in receivers]
        if not any(cuts) or self.carried is None:
            return self.residual.expand(len(cuts), *self.residual.shape)
        rows = [[float(name in cut) for name in self.names] for cut in cuts]
        mask = torch.tensor(rows, dtype=self.values.dtype, device=self.values.device)
        written = len(self.names)
        difference = self.values[:written] - self.carried[:written]
        return self.residual - torch.tensordot(mask, difference, dims=1)


class ReferenceEvaluator:
    """Damage of cut sets by full forwards in plain torch."""

    def __init__(self, problem: Problem, model: ModelWeights, *, multiply: Products | None = None):
        self.problem, self.model = problem, model
        self.multiply = Products() if multiply is None else multiply
        self.background = Plan(problem.policy.background(problem.graph))
        self.plan = self.background
        self.cuts: Cuts = NOTHING_CUT
        self.evaluations = 0
        full = Plan(RECIPES["fp32"].background(problem.graph))
        self._carried = [self._carry(batch) for batch in problem.batches]
        self._targets = [
            Targets(batch, self._logits(batch, None, full, NOTHING_CUT).double().log_softmax(-1))
            for batch in problem.batches
        ]

    def focus(self, component: str) -> dict[str, str]:
        """Protect ``component``; return the formats that now differ from the background plan."""
        raised = self.problem.policy.raised(self.problem.graph, component)
        self.plan = Plan({**self.background.formats, **raised})
        return raised

    def damages(self, receiver: Receiver, cut_sets: Sequence[Sequence[Sender]]) -> list[float]:
        """Return the damage of the cuts so far plus each set of senders cut from ``receiver``."""
        return [self.damage(with_cuts(self.cuts, receiver, cut)) for cut in cut_sets]

    def commit(self, receiver: Receiver, senders: Sequence[Sender]) -> None:
        """Cut these edges for good."""
        self.cuts = with_cuts(self.cuts, receiver, senders)

    def damage(self, cuts: Cuts) -> float:
        """Return the damage of any set of cuts, under the plan in force."""
        self.evaluations += 1
        metric = self.problem.metric
        return sum(
            damage(metric, self._logits(targets.batch, carried, self.plan, cuts), targets)
            for targets, carried in zip(self._targets, self._carried, strict=True)
        )

    def unpatched(self) -> float:
        """Return the damage of the full FP32 model."""
        return unpatched(self.problem.metric, self._targets)

    def task_score(self) -> float:
        """Return the share of prompts that the full FP32 model gets right; NaN without answers."""
        return task_score(self._targets)

    def _logits(
        self, batch: PromptBatch, carried: Values | None, plan: Plan, cuts: Cuts
    ) -> Float[Tensor, "target vocab"]:
        forward = patched_forward(
            self.model, batch.clean, plan=plan, multiply=self.multiply, cuts=cuts, carried=carried
        )
        read = forward.residual[batch.row, batch.position]
        return components.logits(read, self.model, plan["logits"], self.multiply)

    def _carry(self, batch: PromptBatch) -> Values:
        forward = patched_forward(
            self.model, batch.corrupt, plan=self.background, multiply=self.multiply
        )
        return carried_values(forward.values, self.problem.ablation)
