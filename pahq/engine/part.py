"""One batch of prompts of one length: what stands, and the damage of alternatives."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.engine.amounts import amounts
from pahq.engine.focus import Focus, joined
from pahq.engine.likely import LikelyTokens
from pahq.engine.places import Places
from pahq.engine.problem import Cuts, Problem
from pahq.engine.propagate import Propagation, Shortcuts
from pahq.engine.reading import Reading, Rows
from pahq.engine.readout import Readout, full_log_probs, split
from pahq.engine.repeats import Repeats
from pahq.engine.standing import Streams, Trace, ablated, spaced, trace
from pahq.engine.whole import final_residual
from pahq.graph.build import Graph
from pahq.graph.nodes import LOGITS, Receiver, ReceiverKind
from pahq.metrics import Targets, task_score, unpatched
from pahq.models.pages import trim_heap
from pahq.models.weights import ModelWeights
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan
from pahq.tasks.batches import PromptBatch


@dataclass(frozen=True, eq=False)
class Common:
    """What the batches of one search have in common.

    Attributes:
        problem: the search.
        model: the weights.
        multiply: matrix products.
        plan: the background plan.
        shortcuts: which of them are used.
        screen: formats in which screened damages may multiply changes of MLPs.
        release: gives back FP32 weights that are not needed for a while.
        leave: is told the number of a layer whose FP32 weights are not needed for a while.
    """

    problem: Problem
    model: ModelWeights
    multiply: Products
    plan: Plan
    shortcuts: Shortcuts
    screen: Plan | None
    release: Callable[[Iterable[Tensor]], None]
    leave: Callable[[int], None]

    @property
    def full(self) -> Plan:
        """Everything in FP32."""
        return Plan(RECIPES["fp32"].background(self.problem.graph))

    def full_forward(self, tokens: Int[Tensor, "batch pos"]) -> Trace:
        """Return the final stream of a forward in FP32, after which no layer's weights stay."""
        return trace(
            self.model, tokens, self.full, self.multiply,
            after_layer=self.leave, levels={"logits"}, keep_written=False,
        )  # fmt: skip


class Part:
    """One batch of prompts of one length."""

    def __init__(self, common: Common, batch: PromptBatch):
        """Compute what stands."""
        model, multiply, plan = common.model, common.multiply, common.plan
        problem, some = common.problem, spaced(model)
        same = plan == common.full
        clean = trace(model, batch.clean, plan, multiply, levels=some) if same else None
        self.readout = _readout(common, batch, clean or common.full_forward(batch.clean))
        self.unpatched = unpatched(problem.metric, split(self.readout.targets))
        self.task_score = task_score(split(self.readout.targets))
        if common.screen is None:  # else it is asked for what is likely
            self._settle(common)
        clean = clean or trace(model, batch.clean, plan, multiply, levels=some)
        trim_heap()
        self.shortcuts = common.shortcuts
        self._batch_size = batch.clean.shape[0]
        self.followed = 0
        places = Places(sorted(set(batch.position.tolist())), batch.position.device)
        self._row, self._place = batch.row, torch.searchsorted(places.index, batch.position)
        # Streams of means or of nothing take no room: none of them is made anew.
        levels = some if problem.ablation == "corrupt" else None
        cut = trace(model, batch.corrupt, plan, multiply, levels=levels)
        self.reading = Reading(
            model,
            Streams(clean, model, plan, multiply),
            Streams(ablated(cut, problem.ablation, model), model, plan, multiply),
            plan,
            multiply,
            targets=places,
            all_places=not common.shortcuts.positions,
        )
        first = _first_difference(batch) if problem.ablation == "corrupt" else 0
        self.flow = Propagation(self.reading, problem.graph, common.shortcuts, first, common.screen)
        self._focused: Focus | None = None
        self._likely = None
        self._anchored = False
        if common.screen is not None:
            self._likely = self._likely_tokens(model, multiply)
            self._settle(common)

    def _settle(self, common: Common) -> None:
        """Let go of the clean distributions where they need not be read again."""
        if common.shortcuts.stream_vocabulary:
            plan, problem = common.plan, common.problem
            raised = problem.policy.raised(problem.graph, "logits")
            self.readout.settle(Plan({**plan.formats, **raised})["logits"], plan["logits"])
            trim_heap()

    @property
    def held_bytes(self) -> int:
        """Bytes of what stands between tests, and of what screening reads beside it."""
        flow, likely = self.flow, self._likely
        tensors = [x for head in flow.heads.values() for x in (head.q, head.k, head.v)]
        tensors += [x for mlp in flow.mlps.values() for x in vars(mlp).values()]
        tensors += likely.tensors() if likely is not None else []
        held = self.readout.held_bytes + sum(x.numel() * x.element_size() for x in tensors)
        return self.reading.held_bytes + held

    def _likely_tokens(self, model: ModelWeights, multiply: Products) -> LikelyTokens:
        """Return the tokens that are likely on the clean prompts, or where everything is cut."""
        batch = self.readout.targets.batch
        cut = self.reading.carried.at("logits")[batch.row, batch.position]
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
            [final] = self.flow.alternatives(receiver, cut_sets, first=0)
            rows = self._all_rows(len(cut_sets))
            self.followed += len(rows)
            values = self._read_out(final.flatten(0, 1), rows, plan, screened)
            return values.view(len(cut_sets), -1).sum(-1)
        self.flow.open(name)
        fmt, first = plan[name], self.flow.first_difference
        focus = self._focus(receiver, plan)
        if focus.standing is not None and cut_sets == [[]]:
            return focus.standing.sum(0, keepdim=True)
        flow, head = focus.flow, focus.flow.heads.get(name)
        how = {"fmt": fmt, "first": first, "standing": head, "screened": screened}
        together = focus.at_once(self._batch_size)
        outputs = (
            (flow.output(receiver, part, which, **how), which)
            for reads in self.flow.alternatives(
                receiver, cut_sets, first=first, at_once=together, screened=screened
            )
            for part, which in self._portions(focus, reads)
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
        if not cut:  # by now it reads another sum of the same; a resumed search knows that one only
            flow.mlps.pop(name, None)
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

    def _focus(self, receiver: Receiver, plan: Plan) -> Focus:
        """Return what stands while a receiver is under test."""
        name = receiver.component
        fmt = plan[name]
        key = (receiver.name, fmt.name)
        if self._focused is None or self._focused.key != key:
            flow, standing = self.flow, None
            if self.reading.raised(name, fmt):
                flow, final = flow.lift(name, fmt)
                standing = self._read_out(final, self._all_rows(1), plan, False)
            saturates = receiver.kind in (ReceiverKind.QUERY, ReceiverKind.KEY)
            repeats: dict[bool, Repeats] = {}
            if saturates and self.shortcuts.repeats:
                first = flow.first_difference
                stands = flow.mixed(name, flow.heads[name], {}, None, fmt, first)
                repeats = {screened: Repeats(stands, standing) for screened in (False, True)}
            room = amounts(self._row.device).workspace
            self._focused = Focus(key, flow, standing, repeats, flow.case_bytes(name), room)
        return self._focused

    def _portions(
        self, focus: Focus, reads: Float[Tensor, "alt batch place d_model"]
    ) -> Iterator[tuple[Tensor, Rows]]:
        """Yield some cases at once, and the prompt of each; None for those of one alternative."""
        every = self._all_rows(len(reads))
        for part, rows in focus.portions(reads.flatten(0, 1), every):
            yield part, None if len(rows) == self._batch_size else rows

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
        self, name: str, outputs: Iterable[tuple[Tensor, Rows]], plan: Plan, screened: bool
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
            prompts.append(self._all_rows(1) if rows is None else rows)
        every = joined(prompts)
        self.followed += len(every)
        return self._read_out(joined(finals), every, plan, screened)

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


def _readout(common: Common, batch: PromptBatch, full: Trace) -> Readout:
    """Return what measures against the full FP32 model, given its forward."""
    release = common.release if common.plan["logits"] != FP32 else None
    final = full.streams["logits"][batch.row, batch.position]
    log_probs = full_log_probs(final, common.model, common.multiply, release)
    targets = Targets(batch, log_probs)
    return Readout(common.model, common.problem.metric, targets, common.multiply)


def _first_difference(batch: PromptBatch) -> int:
    """Return the first position at which some row's clean and corrupt token differ."""
    return int((batch.clean != batch.corrupt).any(dim=0).int().argmax())
