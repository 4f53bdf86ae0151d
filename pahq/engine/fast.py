"""The fast engine: the reference engine's damages, without the work that cannot matter.

Its shortcuts are exact (standing.py, reading.py, propagate.py, repeats.py, readout.py hold them):

a. Everything upstream of the receiver under test is still clean, so what it reads is the clean
   stream minus the cut senders' constant differences.
b. Its component is computed anew, then only what lies downstream over kept edges.
c. Alternative cut sets are one batch; of a head's q, k and v only what changed is projected.
d. Components are computed only where they are read, from the first changed token on.
e. Differences of heads are kept before W_O.
f. KL needs a log-sum-exp over blocks of the vocabulary, never all logits.
g. A prompt for which a head writes exactly what it wrote before is not followed again.
h. What a receiver reads under one set of cut senders is made from what it read under the last.
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.engine.focus import WORKSPACE, Focus, joined
from pahq.engine.likely import LikelyTokens
from pahq.engine.places import Places
from pahq.engine.prefetch import Prefetch
from pahq.engine.problem import Cuts, Problem
from pahq.engine.propagate import Propagation, Shortcuts
from pahq.engine.reading import Reading
from pahq.engine.readout import Readout, full_log_probs
from pahq.engine.repeats import Repeats
from pahq.engine.standing import Carried, Trace, ablated, spaced, trace
from pahq.engine.whole import final_residual
from pahq.graph.build import Graph
from pahq.graph.nodes import LOGITS, Receiver, ReceiverKind, Sender
from pahq.metrics import Targets, task_score, unpatched
from pahq.models.pages import Pages, keep_heap, trim_heap
from pahq.models.weights import ModelWeights
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan
from pahq.tasks.batches import PromptBatch

LARGE = 1 << 24  # weights from which on freed memory is handed back: taking it again costs time


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
        self.full = Plan(RECIPES["fp32"].background(problem.graph))
        self.background = Plan(problem.policy.background(problem.graph))
        self.plan = self.background
        self.evaluations = 0
        self._raised: dict[str, str] = {}
        self._layer = ""
        self._matrices = model.matrices()
        self.prefetch = Prefetch(
            problem.graph, problem.policy, self._matrices, self.multiply.residency
        )
        large = sum(model.sizes().values()) >= LARGE
        keep_heap(WORKSPACE if large else 4 * WORKSPACE)
        self.tidy = trim_heap if large else lambda: None
        with torch.inference_mode():
            self._store_weights()
            self._parts = [_Part(self, batch) for batch in problem.batches]
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
        if (layer := component[1:].partition(".")[0]) != self._layer:
            self._layer = layer
            if self._raised:
                self._mapped_bytes = max(self._mapped_bytes, self.pages.resident_bytes())
            self._cache_bytes = max(self._cache_bytes, self._standing_bytes())
        self.tidy()
        self.rest(name for name in self._raised if name not in raised)
        self.prefetch.focus(component)
        self.plan, self._raised = Plan({**self.background.formats, **raised}), raised
        return raised

    def _store_weights(self) -> None:
        """Store all weights in their format before anything else is in memory.

        What is kept for long then lies together, and what is not can be given back.
        """
        for name, weights in self._matrices.items():
            for weight in weights if name != "input" else ():  # of the embedding, rows are rounded
                self.multiply.hold(weight, self.background[name])
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
        whole = self.multiply.high_bytes(w for each in self._matrices.values() for w in each)
        return {
            "weights_low": self.multiply.held_bytes,
            "weights_high": self._mapped_bytes if self.pages.ranges else whole,
            "caches": self._cache_bytes,
        }

    def _standing_bytes(self) -> int:
        return sum(part.reading.held_bytes for part in self._parts)

    def full_forward(self, tokens: Int[Tensor, "batch pos"]) -> Trace:
        """Return the final stream of a forward in FP32, after which no layer's weights stay."""
        return trace(
            self.model, tokens, self.full, self.multiply,
            after_layer=self._leave_layer, levels={"logits"}, keep_written=False,
        )  # fmt: skip

    def _leave_layer(self, layer: int) -> None:
        self.rest(name for name in self._matrices if name[1:].partition(".")[0] == str(layer))

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
        self.tidy()  # what the tests freed
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
        return unpatched(self.problem.metric, [part.readout.targets for part in self._parts])

    def task_score(self) -> float:
        """Return the share of prompts that the full FP32 model gets right; NaN without answers."""
        return task_score([part.readout.targets for part in self._parts])


class _Part:
    """One batch of prompts of one length."""

    def __init__(self, owner: FastEvaluator, batch: PromptBatch):
        model, multiply, plan = owner.model, owner.multiply, owner.background
        problem = owner.problem
        clean = trace(model, batch.clean, plan, multiply) if plan == owner.full else None
        release = owner.pages.release if plan["logits"] != FP32 else None
        full = clean or owner.full_forward(batch.clean)
        final = full.streams["logits"][batch.row, batch.position]
        targets = Targets(batch, full_log_probs(final, model, multiply, release))
        clean = clean or trace(model, batch.clean, plan, multiply)
        trim_heap()
        self.readout = Readout(model, problem.metric, targets, multiply)
        self.shortcuts, self._tidy = owner.shortcuts, owner.tidy
        self._batch_size = batch.clean.shape[0]
        self.followed = 0
        places = Places(sorted(set(batch.position.tolist())), batch.position.device)
        self._row, self._place = batch.row, torch.searchsorted(places.index, batch.position)
        # Streams of means or of nothing take no room: none of them is made anew.
        levels = spaced(model) if problem.ablation == "corrupt" else None
        cut = trace(model, batch.corrupt, plan, multiply, levels=levels)
        carried = Carried(ablated(cut, problem.ablation, model), model, plan, multiply)
        difference = clean.written
        for name in difference:  # one after the other: all of both would be in memory
            difference[name] = difference[name] - carried.written[name]
        self.reading = Reading(
            model,
            clean.streams,
            difference,
            carried,
            plan,
            multiply,
            targets=places,
            all_places=not owner.shortcuts.positions,
        )
        first = _first_difference(batch) if problem.ablation == "corrupt" else 0
        self.flow = Propagation(self.reading, problem.graph, owner.shortcuts, first, owner.screen)
        self._focused: Focus | None = None
        screens = owner.screen is not None
        self._likely = self._likely_tokens(model, multiply) if screens else None
        self._anchored = False

    def _likely_tokens(self, model: ModelWeights, multiply: Products) -> LikelyTokens:
        """Return the tokens that are likely on the clean prompts, or where everything is cut."""
        batch = self.readout.targets.batch
        cut = self.reading.carried.stream("logits")[batch.row, batch.position]
        log_probs = full_log_probs(cut, model, multiply)
        return LikelyTokens(model, torch.cat([self.readout.targets.log_probs, log_probs]))

    def _likely_now(self) -> LikelyTokens:
        """Return the likely tokens, the others' sum known for what stands."""
        assert self._likely is not None
        if not self._anchored:
            final = self.flow.reads_now()[self._row, self._place]
            self._likely.anchor(components.normalise(final, self.readout.model.norm))
            self._anchored = True
        return self._likely

    def damages(
        self, receiver: Receiver, cut_sets: list[list[str]], plan: Plan, screened: bool
    ) -> Tensor:
        """Return this batch's share of each alternative's damage, (alt,) float64."""
        name = receiver.component
        if receiver == LOGITS:
            final = self.flow.alternatives(receiver, cut_sets, first=0)
            rows = self._all_rows(len(cut_sets))
            self.followed += len(rows)
            values = self._read_out(final.flatten(0, 1), rows, plan, screened)
            return values.view(len(cut_sets), -1).sum(-1)
        self.flow.open(name)
        fmt, first = plan[name], self.flow.first_difference
        reads = self.flow.alternatives(receiver, cut_sets, first=first, screened=screened)
        rows = self._all_rows(len(cut_sets))
        focus = self._focus(receiver, plan)
        flow, head = focus.flow, focus.flow.heads.get(name)
        how = {"fmt": fmt, "first": first, "standing": head, "screened": screened}
        outputs = (
            (flow.output(receiver, part, which, **how), which)
            for part, which in focus.portions(reads.flatten(0, 1), rows)
        )
        repeats = focus.repeats.get(screened)
        if repeats is None:
            values = self._follow(name, outputs, plan, screened).view(len(cut_sets), -1)
        else:
            values = repeats.damages(
                joined([part for part, _ in outputs]).unflatten(0, (len(cut_sets), -1)),
                lambda wanted, seen: self._follow_some(name, wanted, seen, plan, screened),
            )
        return values.sum(-1)

    def damage(self, cuts: Cuts, graph: Graph) -> float:
        """Return this batch's share of the damage of a whole set of cuts."""
        final = final_residual(self.reading.fresh(), graph, cuts)
        return float(self._read_out(final, self._all_rows(1), self.reading.plan, False).sum())

    def commit(self, receiver: Receiver, senders: list[str], cut: frozenset[str]) -> None:
        """Cut senders for good and let what follows stand."""
        flow, name = self.flow, receiver.component
        # Opened while it reads clean values, as where its edges are tested: a resumed search,
        # which only commits, must get the same numbers.
        follows = receiver != LOGITS and flow.open(name)
        self.reading.decide(receiver, senders, cut)
        if receiver != LOGITS and not follows:
            self.reading.forget(name)
        if follows and cut:
            first, fmt = flow.first_difference, self.reading.plan[name]
            at = self.reading.receiver_places(receiver.name, first)
            reads = self.reading.now(receiver.name, at)
            output = flow.output(
                receiver,
                reads,
                None,
                fmt=fmt,
                first=first,
                standing=flow.heads.get(name),
                keep=True,
            )
            changed = {name: flow.change(name, output, None, fmt=fmt, first=first)}
            flow.follow(changed, None, first=first, keep=True)
        self._focused, self._anchored = None, False

    def _focus(self, receiver: Receiver, plan: Plan) -> "Focus":
        """Return what stands while a receiver is under test."""
        name = receiver.component
        fmt = plan[name]
        key = (receiver.name, fmt.name)
        if self._focused is None or self._focused.key != key:
            flow = self.flow.lift(name, fmt) if self.reading.raised(name, fmt) else self.flow
            self._tidy()
            saturates = receiver.kind in (ReceiverKind.QUERY, ReceiverKind.KEY)
            repeats: dict[bool, Repeats] = {}
            if saturates and self.shortcuts.repeats:
                first = flow.first_difference
                stands = flow.mixed(name, flow.heads[name], {}, None, fmt, first)
                repeats = {screened: Repeats(stands) for screened in (False, True)}
            self._focused = Focus(key, flow, repeats, flow.case_bytes(name))
        return self._focused

    def _follow_some(
        self, name: str, wanted: Tensor, outputs: Tensor, plan: Plan, screened: bool
    ) -> Float[Tensor, "seen batch"]:
        """Return the damages of the prompts marked in ``wanted``, (seen, batch); NaN elsewhere."""
        found = torch.full(wanted.shape, torch.nan, dtype=torch.float64, device=wanted.device)
        rows = wanted.nonzero()[:, 1]
        if len(rows):
            assert self._focused is not None
            portions = self._focused.portions(outputs[wanted], rows)
            found[wanted] = self._follow(name, portions, plan, screened)
        return found

    def _follow(
        self, name: str, outputs: Iterable[tuple[Tensor, Tensor]], plan: Plan, screened: bool
    ) -> Float[Tensor, " case"]:
        """Return each case's damage when the component under test writes ``outputs``.

        Args:
            name: the component.
            outputs: what it writes in some cases, and the prompt of each; made when asked for.
            plan: formats.
            screened: multiply changes in low precision.
        """
        assert self._focused is not None
        flow, fmt, finals, prompts = self._focused.flow, plan[name], [], []
        for part, rows in outputs:
            first = flow.first_difference
            changed = {name: flow.change(name, part, rows, fmt=fmt, first=first)}
            finals.append(flow.follow(changed, rows, first=first, screened=screened))
            prompts.append(rows)
        rows = joined(prompts)
        self.followed += len(rows)
        return self._read_out(joined(finals), rows, plan, screened)

    def _read_out(
        self, final: Tensor, rows: Tensor, plan: Plan, screened: bool
    ) -> Float[Tensor, " case"]:
        """Return each case's damage, its prompt's targets weighted, float64."""
        case, target = (rows[:, None] == self._row).nonzero(as_tuple=True)
        residuals = final[case, self._place[target]]
        values = self.readout.values(
            residuals,
            target,
            plan["logits"],
            stream=self.shortcuts.stream_vocabulary,
            likely=self._likely_now() if screened else None,
        )
        weighted = values * self.readout.targets.batch.weight[target]
        return torch.zeros(len(rows), dtype=torch.float64, device=rows.device).index_add_(
            0, case, weighted
        )

    def _all_rows(self, alternatives: int) -> Int[Tensor, " case"]:
        return torch.arange(self._batch_size, device=self._row.device).repeat(alternatives)


def _first_difference(batch: PromptBatch) -> int:
    """Return the first position at which some row's clean and corrupt token differ."""
    return int((batch.clean != batch.corrupt).any(dim=0).int().argmax())
