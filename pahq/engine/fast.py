"""The fast engine: the reference engine's damages, without the work that cannot matter.

Its shortcuts are exact (standing.py, reading.py, propagate.py, repeats.py, readout.py hold them):

a. Everything upstream of the receiver under test is still clean, so what it reads is the clean
   stream minus the cut senders' constant differences.
b. Its component is computed anew, then only what lies downstream over kept edges.
c. Alternative cut sets are one batch; of a head's q, k and v only what changed is projected.
d. Components are computed only where they are read, from the first changed token on.
e. What heads write is kept before W_O.
f. KL needs a log-sum-exp over blocks of the vocabulary, never all logits.
g. A prompt for which a head writes exactly what it wrote before is not followed again.
h. What a receiver reads under one set of cut senders is made from what it read under the last.
"""

from collections.abc import Iterable, Sequence

import torch

from pahq.engine.amounts import PROCESSOR
from pahq.engine.part import Common, Part
from pahq.engine.prefetch import Prefetch
from pahq.engine.problem import Cuts, Problem
from pahq.engine.propagate import Shortcuts
from pahq.graph.nodes import Receiver, Sender
from pahq.metrics import kl
from pahq.models.pages import Pages, keep_heap, trim_heap
from pahq.models.weights import ModelWeights
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products
from pahq.precision.policy import Plan

LARGE = 1 << 24  # weights from which on freed memory is given back: taking it again costs time


class FastEvaluator:
    """Damage of cut sets from standing values and what follows from a change.

    Attributes:
        evaluations: alternatives whose damage was asked for.
        prefetch: brings FP32 weights to the device for a focus, where they do not lie there.
    """

    def __init__(
        self,
        problem: Problem,
        model: ModelWeights,
        *,
        shortcuts: Shortcuts | None = None,
        multiply: Products | None = None,
        pages: Pages | None = None,
        screen: Plan | None = None,
    ):
        """Compute what stands.

        Args:
            problem: the search.
            model: the weights.
            shortcuts: which of them are used.
            multiply: matrix products.
            pages: mapped weights that may be given back.
            screen: formats in which ``screened`` damages may multiply changes of MLPs.
        """
        self.problem, self.model, self.screen = problem, model, screen
        self.shortcuts = shortcuts or Shortcuts()
        self.pages = pages or Pages()
        self.multiply = multiply or Products(release=self.pages.release)
        self.background = Plan(problem.policy.background(problem.graph))
        self.plan = self.background
        self.evaluations = 0
        self._raised: dict[str, str] = {}
        self._component = ""  # in focus
        self._matrices, self._sizes = model.matrices(), model.sizes()
        self._looked_at = {0}  # numbers of raised weights whose mapped pages were looked at
        self.prefetch = Prefetch(
            problem.graph, problem.policy, self._matrices, self.multiply.residency
        )
        large = sum(self._sizes.values()) >= LARGE
        keep_heap(PROCESSOR.workspace if large else 4 * PROCESSOR.workspace)
        self._tidy = trim_heap if large else lambda: None
        with torch.inference_mode():
            self._store_weights()
            common = Common(
                problem, model, self.multiply, self.background, self.shortcuts, screen,
                release=self.pages.release, leave=self._leave_layer,
            )  # fmt: skip
            self._parts = [Part(common, batch) for batch in problem.batches]
        self._mapped_bytes = self.pages.resident_bytes()  # most of FP32's in memory while stored
        self.rest(self._matrices)
        trim_heap()
        self._cache_bytes = self._standing_bytes()

    @property
    def followed(self) -> int:
        """Prompts, over all alternatives, that had to be followed to the logits."""
        return sum(part.followed for part in self._parts)

    def focus(self, component: str) -> dict[str, str]:
        """Protect ``component``; return the formats that now differ from the background plan."""
        raised = self.problem.policy.raised(self.problem.graph, component)
        self._measure(component)
        self.rest(name for name in self._raised if name not in raised)
        self.plan, self._raised = Plan({**self.background.formats, **raised}), raised
        if component[0] != self._component[:1]:  # heads leave holes of other sizes than MLPs do
            self._tidy()
        self._component = component
        self.prefetch.focus(component)
        in_full = component.startswith("m") and self.plan[component] == FP32
        self.multiply.pack(self._matrices[component] if in_full else ())
        return raised

    def _measure(self, following: str) -> None:
        """Note what is held before the focus leaves a component.

        Looking at mapped pages takes as long as some tests: once for each number of weights that
        are raised together is enough.
        """
        raised = sum(self._sizes[name] for name in self._raised)
        if raised not in self._looked_at:
            self._looked_at.add(raised)
            self._mapped_bytes = max(self._mapped_bytes, self.pages.resident_bytes())
        if _layer(following) != _layer(self._component):
            self._cache_bytes = max(self._cache_bytes, self._standing_bytes())

    def _store_weights(self) -> None:
        """Store all weights in their format before anything else is in memory.

        What is kept for long then lies together, and what is not can be given back.
        """
        summed = self.problem.metric is kl and self.shortcuts.stream_vocabulary
        for name, weights in self._matrices.items():
            for weight in weights if name != "input" else ():  # of the embedding, rows are rounded
                fmt = self.background[name]
                self.multiply.hold(weight, fmt, summed=summed and name == "logits")
                if self.screen is not None and name.startswith("m"):
                    self.multiply.hold(weight, self.screen[name])
        trim_heap()

    def rest(self, names: Iterable[str]) -> None:
        """Give back the memory of FP32 weights of components that compute in another format."""
        for name in names:
            if self.background[name] != FP32:
                self.pages.release(self._matrices[name])

    def memory(self) -> dict[str, int]:
        """Return the most bytes held so far, by what they are for.

        ``weights_low`` stored in other formats than FP32, ``weights_high`` FP32's in the memory of
        the device, those in a mapped file only as far as they are read, ``caches`` what stands
        between tests.
        """
        mapped = self._mapped_bytes + self.multiply.most_packed_bytes
        whole = self.multiply.high_bytes(w for each in self._matrices.values() for w in each)
        return {
            "weights_low": self.multiply.held_bytes,
            "weights_high": mapped if self.pages.ranges else whole,
            "caches": self._cache_bytes,
        }

    def _standing_bytes(self) -> int:
        return sum(part.held_bytes for part in self._parts)

    def _leave_layer(self, layer: int) -> None:
        self.rest(name for name in self._matrices if _layer(name) == str(layer))

    @torch.inference_mode()
    def damages(
        self, receiver: Receiver, cut_sets: Sequence[Sequence[Sender]], *, screened: bool = False
    ) -> list[float]:
        """Return the damage of the cuts so far plus each set of senders cut from ``receiver``.

        ``screened`` damages are not exact: see screened.py.
        """
        self.evaluations += 0 if screened else len(cut_sets)
        names = [[sender.name for sender in cut] for cut in cut_sets]
        total = sum(part.damages(receiver, names, self.plan, screened) for part in self._parts)
        return torch.as_tensor(total).tolist()

    @torch.inference_mode()
    def commit(self, receiver: Receiver, senders: Sequence[Sender]) -> None:
        """Cut these edges for good."""
        before = self.problem.graph.names_before(receiver)
        cut = frozenset(sender.name for sender in senders)
        for part in self._parts:
            part.commit(receiver, before, cut)
        self.prefetch.leave(receiver, [name for name in before if name not in cut])

    @torch.inference_mode()
    def damage(self, cuts: Cuts) -> float:
        """Return the damage of any set of cuts, under the background plan."""
        self.evaluations += 1
        return sum(part.damage(cuts, self.problem.graph) for part in self._parts)

    def unpatched(self) -> float:
        """Return the damage of the full FP32 model."""
        return sum(part.unpatched for part in self._parts)

    def task_score(self) -> float:
        """Return the share of prompts that the full FP32 model gets right; NaN without answers."""
        return sum(part.task_score for part in self._parts)


def _layer(component: str) -> str:
    return component[1:].partition(".")[0]
