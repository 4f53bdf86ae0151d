"""``pahq bench identical``: the fast engine's circuits against the reference engine's, everywhere.

Every shipped model and task, five thresholds that keep about 2% to 60% of the edges, policies of
each kind. Where two searches part, they do so at one decision: its margin explains the rest. In low
precision a last bit can tip a rounding, and that whole effects: how far is measured on the
reference engine alone, by changing what the model first reads in its last bits.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import repeat
from multiprocessing import get_context
from typing import Any

import torch

from pahq.bench.engine import SHIPPED
from pahq.bench.results import record, say
from pahq.discovery.acdc import acdc
from pahq.discovery.events import EdgeTested
from pahq.engine.fast import FastEvaluator
from pahq.engine.reference import ReferenceEvaluator
from pahq.engine.shaken import shaken
from pahq.runs.config import RunConfig, make_config
from pahq.runs.environment import available_cores
from pahq.runs.pipeline import Session
from pahq.runs.prepare import Prepared
from pahq.runs.verify import Question

POLICIES = ("fp32", "pahq-fp8", "pahq-int8", "rtn-fp8")
LEAST, MOST = 0.02, 0.6  # share of edges kept
THRESHOLDS = 5
PAIRS = 10


def identical(
    policies: Sequence[str] = POLICIES, pairs: int = PAIRS, thresholds: int = THRESHOLDS
) -> dict[str, Any]:
    """Compare the engines on every shipped model and task; return a record with a row for each."""
    tasks = [(model, task) for model, names in SHIPPED.items() for task in names]
    # Nothing is timed here, and the reference engine gains little from a second thread.
    with ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn")) as pool:
        spreads = pool.map(_spread_of, tasks, repeat(pairs), repeat(thresholds))
        searches = [
            (*task, policy, threshold)
            for task, found in zip(tasks, spreads, strict=True)
            for threshold in found
            for policy in policies
        ]
        rows = []
        for row in pool.map(_row, searches, repeat(pairs)):
            say(" ".join(f"{key}={value}" for key, value in row.items()))
            rows.append(row)
    return record("engine-identical", command="pahq bench identical", pairs=pairs, rows=rows)


@cache
def _session() -> Session:
    """Return this process's session, of one thread."""
    torch.set_num_threads(1)
    return Session()


def _config(model: str, task: str, pairs: int, **more: Any) -> RunConfig:
    return make_config(
        **{
            "model": model,
            "task": task,
            "examples": pairs,
            "threshold": 1.0,
            "threads": 1,
            "device": "cpu",
            **more,
        }
    )


def _spread_of(task: tuple[str, str], pairs: int, count: int) -> list[float]:
    return spread(_session().prepare(_config(*task, pairs)), count)


def _row(search: tuple[str, str, str, float], pairs: int) -> dict[str, Any]:
    model, task, policy, threshold = search
    config = _config(model, task, pairs, policy=policy, threshold=threshold)
    found = compare(_session().prepare(config))
    return {"model": model, "task": task, "policy": policy} | found


def compare(prepared: Prepared) -> dict[str, Any]:
    """Search with both engines; return where they differ.

    Returns:
        ``threshold``, ``edges_kept`` (fast engine), ``same_circuit``, ``largest_difference`` of an
        effect up to where the searches part, ``margin``: how far from the threshold the fast
        engine's effect was at the decision at which they part, None if they do not, and
        ``shaken``: how far last bits alone move the reference engine's effect there.
    """
    fast, slow = (_search(prepared, engine) for engine in (FastEvaluator, ReferenceEvaluator))
    largest, margin, moved = 0.0, None, None
    for a, b in zip(fast, slow, strict=True):
        largest = max(largest, abs(a.effect - b.effect))
        if a.kept != b.kept:
            margin = abs(a.effect - prepared.config.threshold)
            moved = _moved(prepared, slow, b.i)
            break
    kept = [{event.edge for event in found if event.kept} for found in (fast, slow)]
    return {
        "threshold": prepared.config.threshold,
        "edges": prepared.graph.edge_count,
        "edges_kept": len(kept[0]),
        "same_circuit": kept[0] == kept[1],
        "largest_difference": largest,
        "margin": margin,
        "shaken": moved,
    }


def _moved(prepared: Prepared, decisions: Sequence[EdgeTested], number: int) -> float:
    """Return the largest difference of an effect when last bits change.

    Args:
        prepared: the search.
        decisions: those that were made.
        number: of the one whose effect is looked at.
    """
    question = Question(decisions, number, prepared.rule)
    others = shaken(prepared.problem(prepared.policy), prepared.model.weights)
    effects = [question.ask(evaluator).value for evaluator in others]
    return max(effects) - min(effects)


def spread(prepared: Prepared, count: int) -> list[float]:
    """Return log-spaced thresholds that keep about 2% to 60% of the edges, largest first."""
    top, bottom = (_threshold_keeping(prepared, share) for share in (LEAST, MOST))
    if count == 1:
        return [top]
    step = (math.log(bottom) - math.log(top)) / (count - 1)
    # Few digits, so that the same numbers come out wherever this is measured.
    return [float(f"{math.exp(math.log(top) + i * step):.3g}") for i in range(count)]


def _threshold_keeping(prepared: Prepared, share: float) -> float:
    low, high = math.log(1e-9), math.log(10.0)
    for _ in range(12):
        middle = (low + high) / 2
        config = prepared.config.model_copy(update={"threshold": math.exp(middle)})
        found = _search(replace(prepared, config=config), FastEvaluator)
        if sum(event.kept for event in found) > share * len(found):
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _search(
    prepared: Prepared, engine: type[FastEvaluator] | type[ReferenceEvaluator]
) -> list[EdgeTested]:
    evaluator = engine(prepared.problem(prepared.policy), prepared.weights)
    at_once = (prepared.config.batch_size or 1) if engine is FastEvaluator else 1
    found = acdc(prepared.graph, evaluator, replace(prepared.rule, batch_size=at_once))
    return [event for event in found if isinstance(event, EdgeTested)]
