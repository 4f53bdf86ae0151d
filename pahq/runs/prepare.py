"""From settings to a search that can start: model, prompts, policy, evaluator."""

import dataclasses
import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pahq.discovery.acdc import Rule
from pahq.discovery.screen import ScreeningEvaluator
from pahq.engine.bridge import BridgeEvaluator, check_policy
from pahq.engine.checks import check_model
from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import NOTHING_CUT, Problem
from pahq.engine.reference import ReferenceEvaluator
from pahq.engine.screened import ScreenedDamages
from pahq.errors import UsageError
from pahq.graph.build import Graph
from pahq.metrics import Metric, check_answers, find_metric, kl
from pahq.models.loading import LoadedModel
from pahq.models.locate import check_here, find_directory, is_offline
from pahq.models.pages import Pages
from pahq.models.placement import placed
from pahq.models.weights import ModelWeights
from pahq.precision.assign import Assignment
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products
from pahq.precision.native import check_native
from pahq.precision.policy import RECIPES, Plan, Policy, check_fits, find_policy, from_dict
from pahq.precision.residency import Residency
from pahq.runs.auto import assigned
from pahq.runs.config import MOST_EXAMPLES, RunConfig
from pahq.runs.fit import fitting_batch
from pahq.tasks.base import HELD_OUT_SEED, EncodedPair
from pahq.tasks.batches import PromptBatch, batches
from pahq.tasks.files import load_file
from pahq.tasks.source import find_task, is_file, read_task

SearchEvaluator = FastEvaluator | ReferenceEvaluator | BridgeEvaluator


@dataclass(frozen=True)
class Baseline:
    """What is known before the first decision.

    Attributes:
        noise_floor: damage that the background plan does by itself, in the metric's unit. A
            threshold below it judges rounding rather than edges.
        noise_floor_kl: the same as KL from the full FP32 model, in nats.
        task_score: share of prompts that the full model gets right; None without answers.
    """

    noise_floor: float
    noise_floor_kl: float
    task_score: float | None


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything a search needs, checked.

    Attributes:
        config: the settings, with examples, thread count, batch size and hashes filled in.
        model: the loaded model.
        pairs: the prompts, as token ids.
        policy: the precision recipe.
        asked: number of prompt pairs asked for; None for as many as there are.
        assignment: how the formats were chosen, if they were chosen for these prompts.
    """

    config: RunConfig
    model: LoadedModel
    pairs: tuple[EncodedPair, ...]
    policy: Policy
    asked: int | None = None
    assignment: Assignment | None = None

    @cached_property
    def graph(self) -> Graph:
        """The model's graph."""
        return Graph(self.model.weights.shape)

    @cached_property
    def device(self) -> torch.device:
        """Where the search computes."""
        return self.model.device

    @cached_property
    def weights(self) -> ModelWeights:
        """The model's weights, on the device unless they are ``on_host``."""
        if self.config.engine == "bridge":  # which has its own
            return self.model.weights
        found = placed(self.model.weights, self.device, on_host=self.on_host)
        if found is not self.model.weights:
            for matrices in self.model.weights.matrices().values():
                self.model.pages.release(matrices)
        return found

    @cached_property
    def on_host(self) -> frozenset[str]:
        """Components whose FP32 weights wait in the host's memory while the device computes.

        None where the device has them anyway: FP32 searches, screening, a bridge that lies there,
        engines that need all of them for each test.
        """
        given = self.model.weights.embedding.device.type == self.device.type
        if given or self.policy.screens or self.config.engine != "fast":
            return frozenset()
        formats = self.policy.background(self.graph)
        low = [name for name, fmt in formats.items() if fmt != FP32.name]
        return frozenset(["input", *low] if low else [])  # of the embedding only rows are read

    @property
    def pages(self) -> Pages:
        """The mapped weights that may be given back while their component is in a low format."""
        needed = self.policy.screens or self.weights is not self.model.weights
        return Pages() if needed else self.model.pages  # screening needs both

    @cached_property
    def products(self) -> Products:
        """Products with the model's weights; what is stored in a format is stored once."""
        residency = Residency(self.device) if self.on_host else None
        return Products(release=self.pages.release, residency=residency)

    @cached_property
    def batches(self) -> tuple[PromptBatch, ...]:
        """The prompts as tensors."""
        return tuple(batch.to(self.device) for batch in batches(self.pairs))

    @cached_property
    def baseline(self) -> Baseline:
        """What the unpatched model does under both precision plans."""
        judged = self.measurer(self.judged)
        score, floor, floor_kl = judged.task_score(), 0.0, 0.0
        if self.judged.rounds(self.graph):
            damage = judged.damage(NOTHING_CUT)
            floor = abs(damage - judged.unpatched())
            if judged.problem.metric is not kl:
                damage = self.measurer(self.judged, metric=kl).damage(NOTHING_CUT)
            floor_kl = max(damage, 0.0)  # as a KL is: below it is the rounding of FP32 logits
        return Baseline(floor, floor_kl, None if math.isnan(score) else score)

    def under(self, config: RunConfig) -> "Prepared":
        """Return the same, checked already, with another threshold or order of edges."""
        rule = config.model_dump(include={"threshold", "absolute", "order"})
        return self.fitted(config, self.config.model_copy(update=rule))

    def fitted(self, asked: RunConfig, config: RunConfig) -> "Prepared":
        """Return the same with ``config``, its batch size filled in as ``asked`` or as fits.

        Raises:
            UsageError: if the search does not fit into the memory.
        """
        at_once = fitting_batch(asked, self.weights, self.batches, self.policy, self.device)
        other = replace(self, config=config.model_copy(update={"batch_size": at_once}))
        for name in ("graph", "batches", "baseline", "products", "weights"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    def problem(self, policy: Policy, prompts: tuple[PromptBatch, ...] | None = None) -> Problem:
        """Return the search problem under a policy; on other prompts if given."""
        return Problem(
            graph=self.graph,
            batches=self.batches if prompts is None else prompts,
            metric=find_metric(self.config.metric, task=self.config.task),
            policy=policy,
            ablation=self.config.ablation,
        )

    @property
    def judged(self) -> Policy:
        """The precision that decides: FP32 where the policy only screens."""
        return RECIPES["fp32"] if self.policy.screens else self.policy

    @property
    def rule(self) -> Rule:
        """How edges are judged, and in which order."""
        config = self.config
        return Rule(
            threshold=config.threshold,
            absolute=config.absolute,
            order=config.order,
            seed=config.seed,
            batch_size=config.batch_size or 1,
        )

    def evaluator(self) -> SearchEvaluator | ScreeningEvaluator:
        """Return the evaluator of the engine that was asked for."""
        if not self.policy.screens:
            return self.measurer(self.policy)
        if self.config.engine == "fast":
            exact = FastEvaluator(
                self.problem(self.judged),
                self.weights,
                multiply=self.products,
                screen=Plan(self.policy.background(self.graph)),
            )
            return ScreeningEvaluator(ScreenedDamages(exact), exact, self.rule)
        low, high = self.measurer(self.policy), self.measurer(self.judged)
        assert isinstance(low, ReferenceEvaluator)
        assert isinstance(high, ReferenceEvaluator)
        return ScreeningEvaluator(low, high, self.rule)

    def measurer(
        self,
        policy: Policy,
        *,
        prompts: tuple[PromptBatch, ...] | None = None,
        metric: Metric | None = None,
    ) -> SearchEvaluator:
        """Return what tells the damage of any circuit, by one forward for each.

        Args:
            policy: the precision, its background plan until a focus is set.
            prompts: other prompts than the search's.
            metric: another damage than the search's.
        """
        problem = self.problem(policy, prompts)
        if metric is not None:
            problem = replace(problem, metric=metric)
        if self.config.engine == "bridge":  # our own forward may not hold for such a model
            return BridgeEvaluator(problem, self.model.moved_bridge())
        if self.config.engine == "reference":
            return ReferenceEvaluator(problem, self.weights)
        return FastEvaluator(problem, self.weights, multiply=self.products, pages=self.pages)

    def held_out(self) -> tuple[PromptBatch, ...] | None:
        """Return prompts of the same task that no search has seen; None for a task file."""
        if is_file(self.config.task):
            return None
        config = self.config.model_copy(update={"seed": HELD_OUT_SEED + self.config.seed})
        return tuple(b.to(self.device) for b in batches(read_pairs(config, self.model)))


def check_exists(config: RunConfig) -> None:
    """Refuse a model or task that is not there, before anything slow begins.

    Raises:
        UsageError: naming the nearest names, or the file.
    """
    if is_offline():
        check_here(config.model)
    find_directory(config.model)
    if config.policy_recipe is None:
        find_policy(config.policy)
    if is_file(config.task):
        load_file(Path(config.task))
    else:
        find_task(config.task)


def policy_of(config: RunConfig) -> Policy:
    """Return the precision recipe that a config names or holds.

    Raises:
        UnknownName: if there is none of this name.
        BadPolicy: if it cannot be used.
    """
    if config.policy_recipe is not None:
        return from_dict(config.policy_recipe, source=config.policy)
    return find_policy(config.policy)


def prepare(config: RunConfig, model: LoadedModel, *, threads: int) -> Prepared:
    """Check that everything fits together, before anything is computed or written.

    Raises:
        PahqError: with one clear message for whatever does not.
    """
    pairs = read_pairs(config, model)
    policy, assignment = policy_of(config), None
    hashes = {"model_hash": model.hash, "task_hash": hash_pairs(pairs)}
    for name, found in hashes.items():
        wanted = getattr(config, name)
        if wanted is not None and wanted != found:
            what = "model" if name == "model_hash" else "task's prompts"
            raise UsageError(
                f"The {what} changed since these settings were used.",
                why=f"{name} is {found[:12]}..., the settings say {wanted[:12]}...",
                fix="start a new run, or restore the files as they were",
            )
    if policy.automatic:
        assignment = assigned(config, model, pairs)
        policy = replace(policy, automatic=False, components=assignment.formats)
    named = config.policy in RECIPES and not RECIPES[config.policy].automatic
    filled = config.model_copy(
        update={
            **hashes,
            "examples": len(pairs),
            "threads": threads,
            "policy_recipe": None if named else policy.as_dict(),
        }
    )
    prepared = Prepared(filled, model, pairs, policy, asked=config.examples, assignment=assignment)
    check_fits(policy, prepared.graph)
    if config.native_only:
        check_native(policy.formats_used(prepared.graph), prepared.device.type)
    check_answers(config.metric, prepared.batches, task=config.task)
    prepared = prepared.fitted(config, filled)
    if config.engine == "bridge":
        check_policy(policy, prepared.graph)
    else:
        check_model(model.weights, model.bridge, pages=model.pages)
    return prepared


def read_pairs(config: RunConfig, model: LoadedModel) -> tuple[EncodedPair, ...]:
    """Return the prompts as token ids.

    Raises:
        UsageError: if there is no such task or its prompts do not fit the model.
    """
    pairs = read_task(
        config.task,
        count=config.examples,
        seed=config.seed,
        tokenizer=model.tokenizer,
        vocabulary=model.weights.vocabulary,
        context=model.weights.context,
        patched=config.ablation == "corrupt",
    )
    if len(pairs) > MOST_EXAMPLES:
        raise UsageError(
            f"{Path(config.task).name} has {len(pairs):,} rows.",
            why=f"a run takes at most {MOST_EXAMPLES:,}",
            fix="take the first ones with --examples, or split the file",
        )
    return pairs


def hash_pairs(pairs: tuple[EncodedPair, ...]) -> str:
    """Return a hash of all that the prompts say."""
    content: list[Any] = [dataclasses.astuple(pair) for pair in pairs]
    return hashlib.sha256(repr(content).encode()).hexdigest()
