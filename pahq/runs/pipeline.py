"""Where all parts meet: settings in, a run folder out."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pahq import catalog
from pahq.discovery.acdc import acdc
from pahq.discovery.events import (
    EdgeTested,
    Event,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    RunStopped,
)
from pahq.discovery.screen import ScreeningEvaluator
from pahq.engine.fast import FastEvaluator
from pahq.errors import PahqError, SearchFailed, UsageError
from pahq.models.loading import LoadedModel, load_model
from pahq.models.locate import check_here, find_directory, version
from pahq.precision.panels import works
from pahq.precision.policy import RECIPES, Policy
from pahq.runs.config import RunConfig
from pahq.runs.environment import available_cores, environment
from pahq.runs.memory import PeakMemory, resident_bytes
from pahq.runs.prepare import (
    Baseline,
    Prepared,
    SearchEvaluator,
    check_exists,
    policy_of,
    prepare,
)
from pahq.runs.recorder import Recorder
from pahq.runs.state import work_on
from pahq.runs.store import RunFolder, check_free, create
from pahq.runs.summary import Spent, circuit_of, measure, memory_of
from pahq.tasks.source import is_file

OnEvent = Callable[[Event, float], None]
TIMED_TESTS = 3  # the fastest counts: others were disturbed
WEAK_SCORE = 0.75  # below this share of right answers a circuit says little about the task


class Session:
    """Holds torch and the model used last. One per process that computes."""

    def __init__(self) -> None:
        self._model: LoadedModel | None = None
        self._key: tuple[Any, ...] | None = None
        self._baseline_bytes: int | None = None
        self._compiled = False
        self._prepared: Prepared | None = None  # the settings prepared last: check, then run
        self._prepared_for: tuple[dict[str, Any], str] | None = None

    def warm(self, policy: Policy | None = None) -> None:
        """Import what a search needs, so that the next request starts at once.

        Args:
            policy: if given, also what its formats need.
        """
        import transformer_lens.model_bridge  # noqa: F401 - loaded for its side effect
        import transformers.models.auto  # noqa: F401

        if self._baseline_bytes is None:
            self._baseline_bytes = resident_bytes()
        if policy is not None and policy.mentions("int8") and not self._compiled:
            before, self._compiled = resident_bytes(), True
            works()
            self._baseline_bytes += resident_bytes() - before  # a library like the others

    def load(self, name: str, device: str = "auto") -> LoadedModel:
        """Return the model called ``name``; the one used last is kept.

        Raises:
            PahqError: if it cannot be loaded.
        """
        self.warm()
        path = find_directory(name)
        key = (name, device, version(path) if path is not None else ())
        if self._model is None or self._key != key:
            self._model = self._prepared = None  # let go of the old one first: two may not fit
            self._model, self._key = load_model(name, device=find_device(device)), key
        return self._model

    def check(self, config: RunConfig, *, model: LoadedModel | None = None) -> dict[str, Any]:
        """Return what can be said before a search: can the model do the task, what will it cost.

        Raises:
            PahqError: if the run could not start, or would have to download the model.
        """
        if model is None:
            check_here(config.model)
        prepared = self.prepare(config, model)
        before = prepared.baseline
        evaluator = prepared.measurer(prepared.policy)
        return {
            **asdict(before),
            "warning": " ".join(warnings(prepared, before)) or None,
            "examples": len(prepared.pairs),
            "edges": prepared.graph.edge_count,
            "seconds_per_test": min(_timed(evaluator, prepared) for _ in range(TIMED_TESTS)),
            "resident_bytes": resident_bytes(),
        }

    def start(
        self,
        config: RunConfig,
        *,
        out: Path | None = None,
        model: LoadedModel | None = None,
        **callbacks: Any,
    ) -> RunFolder:
        """Make a run's folder, once everything is known to fit, and search.

        Args:
            config: the settings.
            out: the run's folder; by default a new one in the user's data folder.
            model: a model that is loaded already; by default the config's.
            callbacks: as for ``run``.

        Raises:
            PahqError: before the folder is made, if the request cannot be met; later as ``run``.
        """
        check_free(out)
        prepared = self.prepare(config, model)
        folder = create(prepared.config, out=out)
        self.run(folder, prepared=prepared, **callbacks)
        return folder

    def run(
        self,
        folder: RunFolder,
        *,
        prepared: Prepared | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        pace: Callable[[], None] | None = None,
        on_event: OnEvent | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Search, or go on with an interrupted search, and write the run's files.

        Args:
            folder: a run folder with its config.json.
            prepared: the same settings, prepared already.
            should_stop: asked after every decision; True keeps what was decided and ends.
            pace: called after every decision; may wait (pause, slow motion).
            on_event: called with each new event and its time in seconds of search.
            on_notice: called with each sentence the user should read before the search.

        Returns:
            summary.json's content.

        Raises:
            PahqError: after the folder says so too.
        """
        with work_on(folder.path, folder.state):
            if prepared is None and folder.ended:
                # Before anything is cut: a refusal must leave what was kept as it is.
                prepared = self.prepare(folder.config)
            replay = folder.cut_events()
            device = prepared.device if prepared is not None else _likely(folder.config.device)
            with Recorder(folder, PeakMemory(device)) as recorder:
                try:
                    ready = prepared or self.prepare(folder.config)
                    work = _Work(recorder, ready, replay, should_stop, pace, on_event, on_notice)
                    libraries = 0 if device.type == "cuda" else self._baseline_bytes or 0
                    return work.search(libraries)
                except BaseException as error:
                    failure = _recorded(recorder, error)
                    if failure is None or failure is error:
                        raise
                    raise failure from error

    def prepare(self, config: RunConfig, model: LoadedModel | None = None) -> Prepared:
        """Load the model and check that everything fits together.

        Raises:
            PahqError: with one clear message for whatever does not.
        """
        if model is None:
            check_exists(config)
        threads = config.threads or available_cores()
        torch.set_num_threads(threads)
        policy = policy_of(config)
        self.warm(policy)
        loaded = model if model is not None else self.load(config.model, config.device)
        free = {"absolute", "order", "batch_size"}
        if not policy.automatic:  # whose budget follows the threshold
            free.add("threshold")
        same = config.model_dump(exclude=free)
        # Files may have changed since they were read.
        named = not is_file(config.task) and config.policy in RECIPES
        if named and self._prepared is not None and self._prepared_for == (same, loaded.hash):
            return self._prepared.under(config)
        self._prepared = None  # let go of its weights first: two may not fit on a device
        self._prepared = prepare(config, loaded, threads=threads)
        self._prepared_for = (same, loaded.hash)
        return self._prepared


def _timed(evaluator: SearchEvaluator, prepared: Prepared) -> float:
    """Return the seconds that one test takes."""
    started = time.perf_counter()
    evaluator.damages(prepared.graph.receivers[0], [[]])
    return time.perf_counter() - started


def find_device(name: str) -> torch.device:
    """Return the torch device of a name in the catalog.

    Raises:
        UsageError: for ``cuda`` on a machine without a GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "There is no CUDA device.",
            why="torch finds no NVIDIA GPU, or was installed without CUDA",
            fix="use --device cpu",
        )
    return torch.device(name)


def _likely(name: str) -> torch.device:
    """Return the device of a name; the processor where ``find_device`` will refuse it."""
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def warnings(prepared: Prepared, before: Baseline) -> list[str]:
    """Return what the user should know before believing the circuit."""
    found = []
    rows = len(prepared.pairs)
    if prepared.asked is not None and prepared.asked > rows:
        found.append(
            f"{prepared.asked:,} prompt pairs were asked for; "
            f"'{Path(prepared.config.task).name}' has {rows:,}, and all are used."
        )
    score, threshold = before.task_score, prepared.config.threshold
    if score is not None and score < WEAK_SCORE:
        found.append(
            f"The model gets only {score:.0%} of these prompts right: it hardly does the task "
            f"'{prepared.config.task}', so its circuit will say little."
        )
    if threshold < before.noise_floor:
        found.append(
            f"The threshold {threshold:g} lies below the noise floor {before.noise_floor:.2g} of "
            f"the policy '{prepared.policy.name}': rounding alone does as much damage."
        )
    return found


class _Work:
    """One process's part of one search."""

    def __init__(
        self,
        recorder: Recorder,
        prepared: Prepared,
        replay: list[Event],
        should_stop: Callable[[], bool],
        pace: Callable[[], None] | None,
        on_event: OnEvent | None,
        on_notice: Callable[[str], None] | None,
    ):
        self.recorder, self.prepared = recorder, prepared
        self.should_stop, self.pace = should_stop, pace
        self.on_event, self.on_notice = on_event, on_notice
        self.events = list(replay)

    def search(self, baseline_bytes: int) -> dict[str, Any]:
        config, recorder = self.prepared.config, self.recorder
        recorder.phase("checking")
        before = self.prepared.baseline
        for sentence in warnings(self.prepared, before):
            if self.on_notice:
                self.on_notice(sentence)
        evaluator = self.prepared.evaluator()
        recorder.folder.write_text("config.json", config.as_json())
        recorder.json("environment.json", environment(self.prepared.device))
        if self.prepared.assignment is not None:
            recorder.json("policy.json", self.prepared.policy.as_dict())
            recorder.json("sensitivity.json", self.prepared.assignment.as_dict())
        replay = list(self.events)
        recorder.phase("searching")
        recorder.start_search(lambda: evaluator.evaluations, before=recorder.folder.last_time())
        self._emit(self._opening(replay))
        stopped = False
        for event in acdc(self.prepared.graph, evaluator, self.prepared.rule, replay=replay):
            self._emit(event)
            if isinstance(event, EdgeTested):
                if self.pace:
                    with recorder.waiting():
                        self.pace()
                if self.should_stop():
                    stopped = self._decided() < self.prepared.graph.edge_count
                    break
        wall = recorder.seconds
        recorder.phase("evaluating")
        status = "stopped" if stopped else "finished"
        spent = Spent(wall, recorder.evaluations, recorder.peak_bytes, baseline_bytes)
        circuit, summary = measure(
            self.prepared,
            circuit_of(self.prepared, self.events, status=status),
            self.events,
            before,
            spent,
        )
        holds = evaluator
        if isinstance(evaluator, ScreeningEvaluator):
            summary["screening"], holds = asdict(evaluator.found), evaluator.high
        if isinstance(holds, FastEvaluator):
            summary["memory"] = memory_of(holds, spent)
        recorder.json("circuit.json", circuit.to_json())
        recorder.json("summary.json", summary)
        self._emit(RunStopped(self._decided()) if stopped else RunFinished(summary))
        recorder.phase(status)
        return summary

    def _opening(self, replay: list[Event]) -> Event:
        if any(isinstance(event, RunStarted) for event in replay):
            return RunResumed(self._decided())
        config, graph = self.prepared.config, self.prepared.graph
        return RunStarted(
            model=config.model,
            shape=graph.shape.as_dict(),
            task=config.task,
            method=config.method,
            policy=self.prepared.policy.name,
            threshold=config.threshold,
            edges=graph.edge_count,
            metric=config.metric,
            unit=catalog.find(catalog.METRICS, config.metric, kind="metric").unit,
            formats=self.prepared.policy.background(graph),
            weights=self.prepared.model.weights.sizes(),
        )

    def _decided(self) -> int:
        return sum(isinstance(event, EdgeTested) for event in self.events)

    def _emit(self, event: Event) -> None:
        t = self.recorder.event(event)
        self.events.append(event)
        if self.on_event:
            self.on_event(event, t)


def _recorded(recorder: Recorder, error: BaseException) -> PahqError | None:
    """Write down why a run ended, as far as the disk allows; return it as one of our errors."""
    failure = _explained(error)
    if failure is None:
        recorder.phase("stopped", "interrupted")
        return None
    with suppress(SearchFailed):  # a folder that cannot be written: the failure itself says so
        recorder.event(RunFailed(failure.as_dict()))
        recorder.phase("failed", failure.what)
    return failure


def _explained(error: BaseException) -> PahqError | None:
    """Return our own error for whatever ended a run; None for an interruption."""
    if isinstance(error, PahqError):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "CPUAllocator" in str(error):
        return SearchFailed(
            "There was not enough memory.",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            fix="use fewer --examples, close other programs, or choose a smaller model",
        )
    if isinstance(error, Exception):
        return SearchFailed(
            f"The run ended by an error inside pahq: {type(error).__name__}.",
            why=str(error) or "no details",
            fix="please report it, with the run folder; `pahq resume` may go on from here",
        )
    return None
