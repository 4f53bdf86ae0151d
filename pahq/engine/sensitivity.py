"""How much a model's prediction moves when components compute in low formats, nothing patched."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pahq.engine import components
from pahq.engine.standing import trace
from pahq.graph.build import Graph
from pahq.metrics import Targets, damage, kl
from pahq.models.pages import Pages
from pahq.models.weights import ModelWeights
from pahq.precision.assign import Sensitivity
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan
from pahq.tasks.batches import PromptBatch

# Formats that a component may have, by kind of device: those that pay there, and one between.
CANDIDATES = {"cpu": ("int8", "bf16"), "cuda": ("fp8-e4m3", "bf16")}


class NoiseMeter:
    """KL from the FP32 model, on some prompts.

    Attributes:
        pairs: number of prompts.
    """

    def __init__(
        self, model: ModelWeights, batches: Sequence[PromptBatch], *, pages: Pages | None = None
    ):
        self.model, self.multiply = model, Products(release=(pages or Pages()).release)
        self.graph = Graph(model.shape)
        self.pairs = sum(len(batch.clean) for batch in batches)
        self._full = RECIPES["fp32"].background(self.graph)
        with torch.inference_mode():
            self._parts = [self._prepared(batch) for batch in batches]

    @torch.inference_mode()
    def noise(self, formats: dict[str, str]) -> float:
        """Return KL(FP32 model || the same with these formats), in nats; the rest is FP32."""
        plan = Plan({**self._full, **formats})
        lowered = [name for name in self.graph.components if plan[name] != FP32]
        return sum(self._noise(*part, plan, lowered) for part in self._parts)

    def sensitivity(
        self,
        candidates: Sequence[str],
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Sensitivity:
        """Return the noise of each component alone in each format."""
        found: Sensitivity = {}
        names, matrices = self.graph.components, self.model.matrices()
        for number, name in enumerate(names):
            found[name] = {fmt: max(self.noise({name: fmt}), 0.0) for fmt in candidates}
            self.multiply.forget(matrices[name])  # all in all formats would be twice the model
            on_progress(number + 1, len(names))
        return found

    def _prepared(self, batch: PromptBatch) -> tuple[Targets, dict[str, Tensor]]:
        streams = trace(self.model, batch.clean, Plan(self._full), self.multiply).streams
        logits = self._logits(streams["logits"], batch, Plan(self._full))
        return Targets(batch, logits.double().log_softmax(-1)), streams

    def _noise(
        self, targets: Targets, streams: dict[str, Tensor], plan: Plan, lowered: list[str]
    ) -> float:
        if not lowered:
            return 0.0
        final, first = streams["logits"], lowered[0]
        if first != "logits":
            # What lies below the first lowered component is FP32's.
            layer = 0 if first == "input" else int(first[1:].partition(".")[0])
            begin = None if first == "input" else (layer, streams[f"a{layer}"])
            batch = targets.batch
            low = trace(self.model, batch.clean, plan, self.multiply, begin=begin)
            final = low.streams["logits"]
        return damage(kl, self._logits(final, targets.batch, plan), targets)

    def _logits(self, final: Tensor, batch: PromptBatch, plan: Plan) -> Tensor:
        read = final[batch.row, batch.position]
        return components.logits(read, self.model, plan["logits"], self.multiply)
