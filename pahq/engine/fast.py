"""The fast engine: the reference engine's damages, without the work that cannot matter.

Its shortcuts are exact (standing.py, reading.py, propagate.py and readout.py hold them):

a. Everything upstream of the receiver under test is still clean, so what it reads is the clean
   stream minus the cut senders' constant differences.
b. Its component is computed anew, then only what lies downstream over kept edges.
c. Alternative cut sets are one batch; of a head's q, k and v only what changed is projected.
d. Components are computed only where they are read, from the first changed token on.
e. Differences of heads are kept before W_O.
f. KL needs a log-sum-exp over blocks of the vocabulary, never all logits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pahq.engine import components
from pahq.engine.problem import Problem
from pahq.engine.propagate import Head, Propagation, Shortcuts
from pahq.engine.reading import Reading
from pahq.engine.readout import Readout
from pahq.engine.standing import ablated, trace
from pahq.graph.nodes import LOGITS, Receiver, ReceiverKind, Sender
from pahq.metrics import Targets
from pahq.models.weights import ModelWeights
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan
from pahq.tasks.batches import PromptBatch


class FastEvaluator:
    """Damage of cut sets from standing values and what follows from a change."""

    def __init__(
        self, problem: Problem, model: ModelWeights, *, shortcuts: Shortcuts | None = None
    ):
        self.problem, self.model = problem, model
        self.shortcuts = shortcuts or Shortcuts()
        self.multiply = Products()
        self.background = Plan(problem.policy.background(problem.graph))
        self.plan = self.background
        self.evaluations = 0
        self._order = {sender.name: i for i, sender in enumerate(problem.graph.senders)}
        self._parts = [self._part(batch) for batch in problem.batches]

    def focus(self, component: str) -> dict[str, str]:
        """Protect ``component``; return the formats that now differ from the background plan."""
        raised = self.problem.policy.raised(self.problem.graph, component)
        self.plan = Plan({**self.background.formats, **raised})
        return raised

    @torch.inference_mode()
    def damages(self, receiver: Receiver, cut_sets: Sequence[Sequence[Sender]]) -> list[float]:
        """Return the damage of the cuts so far plus each set of senders cut from ``receiver``."""
        self.evaluations += len(cut_sets)
        names = [[sender.name for sender in cut] for cut in cut_sets]
        total = sum(part.damages(receiver, names, self.plan) for part in self._parts)
        return torch.as_tensor(total).tolist()

    @torch.inference_mode()
    def commit(self, receiver: Receiver, senders: Sequence[Sender]) -> None:
        """Cut these edges for good."""
        names = [sender.name for sender in self.problem.graph.senders_to(receiver)]
        before = sorted(names, key=self._order.__getitem__)
        cut = frozenset(sender.name for sender in senders)
        for part in self._parts:
            part.commit(receiver, before, cut)

    @torch.inference_mode()
    def _part(self, batch: PromptBatch) -> "_Part":
        full = Plan(RECIPES["fp32"].background(self.problem.graph))
        unpatched = trace(self.model, batch.clean, full, self.multiply)
        return _Part(self, batch, unpatched.streams["logits"])


class _Part:
    """One batch of prompts of one length."""

    def __init__(self, owner: FastEvaluator, batch: PromptBatch, final: Tensor):
        model, multiply, plan = owner.model, owner.multiply, owner.background
        problem = owner.problem
        targets = Targets(batch, _log_probs(model, final[batch.row, batch.position], multiply))
        self.readout = Readout(model, problem.metric, targets, multiply)
        self.shortcuts = owner.shortcuts
        places = batch.position.unique()
        self._row, self._place = batch.row, torch.searchsorted(places, batch.position)
        carried = ablated(trace(model, batch.corrupt, plan, multiply), problem.ablation, model)
        self.reading = Reading(
            model,
            trace(model, batch.clean, plan, multiply),
            carried,
            plan,
            multiply,
            targets=places,
            all_places=not owner.shortcuts.positions,
        )
        first = _first_difference(batch) if problem.ablation == "corrupt" else 0
        self.flow = Propagation(self.reading, problem.graph, owner.shortcuts, first)
        self._focused: tuple[str, str, Head] | None = None

    def damages(self, receiver: Receiver, cut_sets: list[list[str]], plan: Plan) -> Tensor:
        """Return this batch's share of each alternative's damage, (alt,) float64."""
        name = receiver.component
        if receiver == LOGITS:
            return self._read_out(self.flow.alternatives(receiver, cut_sets, first=0), plan)
        self.flow.open(name)
        raised = plan.formats[name] != self.reading.plan.formats[name]
        # A raised focus differs from what stands at every place, not only after the first change.
        first = 0 if raised else self.flow.first_difference
        reads = self.flow.alternatives(receiver, cut_sets, first=first)
        changed = self.flow.component_change(
            receiver, reads, fmt=plan[name], first=first, standing=self._standing(receiver, plan)
        )
        final = self.flow.follow(changed, first=first)
        if final is None:
            final = self.flow.reads_now()
        return self._read_out(final.expand(len(cut_sets), *final.shape[1:]), plan)

    def commit(self, receiver: Receiver, senders: list[str], cut: frozenset[str]) -> None:
        """Cut senders for good and let what follows stand."""
        flow, name = self.flow, receiver.component
        if receiver != LOGITS and flow.open(name) and cut:
            first, fmt = flow.first_difference, self.reading.plan[name]
            reads = flow.alternatives(receiver, [sorted(cut)], first=first)
            standing = flow.heads.get(name)
            changed = flow.component_change(
                receiver, reads, fmt=fmt, first=first, standing=standing, keep=True
            )
            flow.follow(changed, first=first, keep=True)
        self.reading.decide(receiver, senders, cut)
        self._focused = None

    def _standing(self, receiver: Receiver, plan: Plan) -> Head | None:
        """Return q, k and v of the head under test, in the format it has under ``plan``."""
        if receiver.kind is ReceiverKind.MLP:
            return None
        name = receiver.component
        fmt = plan[name]
        if fmt.name == self.reading.plan[name].name:
            return self.flow.heads[name]
        key = (receiver.name, fmt.name)
        if self._focused is None or self._focused[:2] != key:
            self._focused = (*key, self.flow.head_values(name, fmt))
        return self._focused[2]

    def _read_out(self, final: Tensor, plan: Plan) -> Tensor:
        residuals = final[:, self._row, self._place]
        return self.readout.damage(
            residuals, plan["logits"], stream=self.shortcuts.stream_vocabulary
        )


def _log_probs(model: ModelWeights, final: Tensor, multiply: Products) -> Tensor:
    return components.logits(final, model, FP32, multiply).double().log_softmax(-1)


def _first_difference(batch: PromptBatch) -> int:
    """Return the first position at which some row's clean and corrupt token differ."""
    return int((batch.clean != batch.corrupt).any(dim=0).int().argmax())
