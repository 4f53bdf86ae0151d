"""The bridge engine: full forwards of the user's own model, patched through its hooks.

It shares no code with the other engines beyond the metrics: the independent proof that they
compute ACDC on the model that was loaded. FP32 only.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pahq.engine.cache import carried_values
from pahq.engine.problem import NOTHING_CUT, Cuts, Problem, with_cuts
from pahq.errors import UsageError
from pahq.graph.build import Graph
from pahq.graph.nodes import Receiver, Sender
from pahq.metrics import Targets, damage, task_score, unpatched
from pahq.precision.policy import Policy
from pahq.tasks.batches import PromptBatch

Hook = tuple[str, Callable[..., Tensor | None]]
KINDS = ("q", "k", "v")


def check_policy(policy: Policy, graph: Graph) -> None:
    """Refuse a policy that the original model cannot compute.

    Raises:
        UsageError: naming the formats.
    """
    if policy.rounds(graph):
        raise UsageError(
            f"The bridge engine cannot run the policy '{policy.name}'.",
            why=f"it runs the original model, in FP32; the policy uses "
            f"{', '.join(policy.formats_used(graph))}",
            fix="use --policy fp32, or --engine fast",
        )


class BridgeEvaluator:
    """Damage of cut sets by hooked forwards of a TransformerBridge."""

    def __init__(self, problem: Problem, bridge: Any):
        check_policy(problem.policy, problem.graph)
        self.problem, self.bridge = problem, bridge
        self.split = use_split_inputs(bridge)
        self.cuts: Cuts = NOTHING_CUT
        self.evaluations = 0
        self._carried: list[Tensor] = []
        self._targets: list[Targets] = []
        for batch in problem.batches:
            seen, _ = self._run(batch.corrupt, NOTHING_CUT, None)
            self._carried.append(carried_values(seen, problem.ablation))
            _, logits = self._run(batch.clean, NOTHING_CUT, None)
            self._targets.append(
                Targets(batch, _at_targets(logits, batch).double().log_softmax(-1))
            )

    def focus(self, component: str) -> dict[str, str]:
        """FP32 throughout: no format ever differs."""
        return {}

    def damages(self, receiver: Receiver, cut_sets: Sequence[Sequence[Sender]]) -> list[float]:
        """Return the damage of the cuts so far plus each set of senders cut from ``receiver``."""
        return [self.damage(with_cuts(self.cuts, receiver, cut)) for cut in cut_sets]

    def commit(self, receiver: Receiver, senders: Sequence[Sender]) -> None:
        """Cut these edges for good."""
        self.cuts = with_cuts(self.cuts, receiver, senders)

    def damage(self, cuts: Cuts) -> float:
        """Return the damage of any set of cuts."""
        self.evaluations += 1
        return sum(
            damage(
                self.problem.metric,
                _at_targets(self._run(targets.batch.clean, cuts, carried)[1], targets.batch),
                targets,
            )
            for targets, carried in zip(self._targets, self._carried, strict=True)
        )

    def unpatched(self) -> float:
        """Return the damage of the full FP32 model."""
        return unpatched(self.problem.metric, self._targets)

    def task_score(self) -> float:
        """Return the share of prompts that the model gets right; NaN without answers."""
        return task_score(self._targets)

    @torch.no_grad()
    def _run(self, tokens: Tensor, cuts: Cuts, carried: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the senders' values and the logits of a forward with ``cuts``."""
        patch = _Patch(self.bridge, self.problem, cuts, carried, self.split)
        logits = self.bridge.run_with_hooks(tokens, fwd_hooks=patch.hooks())
        return torch.stack(patch.values), logits


def use_split_inputs(bridge: Any) -> bool:
    """Give each head its own input hooks; False where the bridge cannot (native models)."""
    try:
        bridge.set_use_attn_result(True)
        bridge.set_use_split_qkv_input(True)
    except NotImplementedError:
        return False
    return True


class _Patch:
    """The hooks of one forward: record what senders write, change what receivers read."""

    def __init__(
        self, bridge: Any, problem: Problem, cuts: Cuts, carried: Tensor | None, split: bool
    ):
        self.bridge, self.shape, self.cuts = bridge, problem.graph.shape, cuts
        self.names = [sender.name for sender in problem.graph.senders]
        self.carried, self.split = carried, split
        self.values: list[Tensor] = []

    def hooks(self) -> list[Hook]:
        found: list[Hook] = [("embed.hook_out", self._wrote_input)]
        if hasattr(self.bridge, "pos_embed"):
            found.append(("pos_embed.hook_out", self._wrote_position))
        for layer in range(self.shape.n_layers):
            found += self._split(layer) if self.split else self._recomputed(layer)
            if self.shape.mlp:
                found.append((f"blocks.{layer}.ln2.hook_in", self._reads(f"m{layer}")))
                found.append((f"blocks.{layer}.mlp.hook_out", self._wrote))
        found.append(("ln_final.hook_in", self._reads("logits")))
        return found

    def _split(self, layer: int) -> list[Hook]:
        attn = f"blocks.{layer}.attn"
        inputs: list[Hook] = [
            (f"{attn}.hook_{kind}_input", self._head_reads(layer, kind)) for kind in KINDS
        ]
        return [*inputs, (f"{attn}.hook_result", self._wrote_heads)]

    def _recomputed(self, layer: int) -> list[Hook]:
        """Without per-head inputs: remember the block's input, overwrite q, k and v."""
        block = self.bridge.blocks[layer]
        stream: list[Tensor] = []

        def enters(x: Tensor, hook: Any) -> None:
            stream.append(x)

        def overwrites(kind: str) -> Callable[..., Tensor]:
            weight = getattr(block.attn, f"W_{kind.upper()}")
            bias = getattr(block.attn, f"b_{kind.upper()}")

            def change(projected: Tensor, hook: Any) -> Tensor:
                heads = []
                for h in range(self.shape.n_heads):
                    cut = self.cuts.get(f"a{layer}.h{h}<{kind}>")
                    if not cut:
                        heads.append(projected[:, :, h])
                        continue
                    x = self._normalised(block, self._without(stream[0], cut))
                    heads.append(x @ weight[h] + bias[h])
                return torch.stack(heads, dim=2)

            return change

        def wrote(mixed: Tensor, hook: Any) -> None:
            for h in range(self.shape.n_heads):
                self.values.append(mixed[:, :, h] @ block.attn.W_O[h])

        attn = f"blocks.{layer}.attn"
        return [
            (f"blocks.{layer}.hook_in", enters),
            *((f"{attn}.{kind}.hook_out", overwrites(kind)) for kind in KINDS),
            (f"{attn}.o.hook_in", wrote),
        ]

    def _normalised(self, block: Any, x: Tensor) -> Tensor:
        # The module below the bridge's wrapper: calling the wrapper would fire its hooks again.
        return block.ln1.original_component(x)

    def _wrote_input(self, x: Tensor, hook: Any) -> None:
        self.values.append(x)

    def _wrote_position(self, x: Tensor, hook: Any) -> None:
        self.values[0] = self.values[0] + x

    def _wrote(self, x: Tensor, hook: Any) -> None:
        self.values.append(x)

    def _wrote_heads(self, x: Float[Tensor, "batch pos head d_model"], hook: Any) -> None:
        self.values += x.unbind(dim=2)

    def _reads(self, receiver: str) -> Callable[..., Tensor | None]:
        def change(x: Tensor, hook: Any) -> Tensor | None:
            cut = self.cuts.get(receiver)
            return self._without(x, cut) if cut else None

        return change

    def _head_reads(self, layer: int, kind: str) -> Callable[..., Tensor | None]:
        def change(x: Float[Tensor, "batch pos head d_model"], hook: Any) -> Tensor | None:
            cuts = [self.cuts.get(f"a{layer}.h{h}<{kind}>") for h in range(self.shape.n_heads)]
            if not any(cuts):
                return None
            heads = [
                self._without(x[:, :, h], cut) if cut else x[:, :, h] for h, cut in enumerate(cuts)
            ]
            return torch.stack(heads, dim=2)

        return change

    def _without(self, x: Tensor, cut: frozenset[str]) -> Tensor:
        """Return ``x`` with the cut senders' values replaced by the carried ones."""
        assert self.carried is not None
        for i, name in enumerate(self.names[: len(self.values)]):
            if name in cut:
                x = x - self.values[i] + self.carried[i]
        return x


def _at_targets(logits: Tensor, batch: PromptBatch) -> Float[Tensor, "target vocab"]:
    return logits[batch.row, batch.position]
