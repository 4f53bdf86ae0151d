"""On a GPU: the next focus travels while this one is computed, and FP32's memory is not needed."""

import json

import pytest
import torch

from pahq.discovery.acdc import Rule, acdc
from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import Problem
from pahq.graph.build import Graph
from pahq.metrics import METRICS
from pahq.models.placement import placed
from pahq.models.weights import take_weights
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES
from pahq.precision.residency import Residency
from tests.random_models import Recipe, random_bridge, random_prompts

pytestmark = pytest.mark.gpu
GPU = torch.device("cuda")
LARGE = 1 << 20  # bytes of a copy that is a weight's
RULE = Rule(threshold=1e-4, batch_size=8)


@pytest.fixture(scope="module")
def model():
    """Return a model of 170 MB on the processor, each matrix of a head of it a MB."""
    return take_weights(random_bridge(Recipe(layers=4, heads=4, d_head=256)))


def opened(model, policy):
    """Return a search on the GPU, FP32 weights of components in low formats on the host."""
    graph = Graph(model.shape)
    batches = tuple(batch.to(GPU) for batch in random_prompts(3, rows=16))
    problem = Problem(graph, batches, METRICS["kl"], RECIPES[policy])
    formats = problem.policy.background(graph)
    low = {name for name, fmt in formats.items() if fmt != "fp32"}
    weights = placed(model, GPU, on_host=low | {"input"} if low else ())
    multiply = Products(residency=Residency(GPU) if low else None)
    return FastEvaluator(problem, weights, multiply=multiply), problem


def searched(evaluator, problem, *, receivers=40):
    """Search a part of the graph."""
    for number, _ in enumerate(acdc(problem.graph, evaluator, RULE)):
        if number > receivers * 20:
            break


def keep_busy_at_each_focus(evaluator, monkeypatch):
    """Queue milliseconds of work before each fetch: a small search mostly waits for launches."""
    load, fetch = torch.randn(4096, 4096, device=GPU), evaluator.prefetch.focus

    def focus(component):
        for _ in range(4):
            load @ load
        fetch(component)

    monkeypatch.setattr(evaluator.prefetch, "focus", focus)


@pytest.mark.filterwarnings("ignore")  # of the profiler's own
def test_the_next_focus_is_copied_while_this_one_is_computed(model, tmp_path, monkeypatch):
    from torch.profiler import ProfilerActivity, profile

    searched(*opened(model, "pahq-int8"), receivers=2)  # what is done once is done
    evaluator, problem = opened(model, "pahq-int8")
    keep_busy_at_each_focus(evaluator, monkeypatch)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as traced:
        searched(evaluator, problem, receivers=6)
        torch.cuda.synchronize()
    traced.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    copies = [
        e
        for e in events
        if e.get("cat") == "gpu_memcpy" and "HtoD" in e["name"] and e["args"]["bytes"] >= LARGE
    ]
    kernels = [e for e in events if e.get("cat") == "kernel"]
    assert copies
    assert kernels
    computing = {e["args"]["stream"] for e in kernels}
    assert computing.isdisjoint(e["args"]["stream"] for e in copies)
    assert any(
        copy["ts"] < kernel["ts"] + kernel["dur"] and kernel["ts"] < copy["ts"] + copy["dur"]
        for copy in copies
        for kernel in kernels
    )
    assert evaluator.prefetch.found.prefetched > 1


@pytest.mark.parametrize("policy", ["pahq-int8", "pahq-fp8", "rtn-int8"])
def test_the_device_holds_less_than_in_fp32(model, policy):
    peaks = {}
    for name in ("fp32", policy):
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        evaluator, problem = opened(model, name)
        searched(evaluator, problem)
        peaks[name] = torch.cuda.max_memory_allocated() - before
        del evaluator
    assert peaks[policy] < peaks["fp32"]
    # FP32's weights are most of it: of them no more than two components are there.
    whole = 4 * sum(model.sizes().values())
    assert peaks["fp32"] - peaks[policy] > 0.2 * whole


@pytest.mark.parametrize("policy", ["fp32", "pahq-int8", "pahq-fp8"])
def test_damages_are_those_of_the_processor(policy):
    model = take_weights(random_bridge(Recipe(layers=2, heads=4, d_head=16)))
    there, problem = opened(model, policy)
    on_cpu = Problem(problem.graph, random_prompts(3, rows=16), problem.metric, RECIPES[policy])
    here, logits = FastEvaluator(on_cpu, model), problem.graph.receivers[0]
    senders = problem.graph.senders_to(logits)
    cut_sets = [senders[:count] for count in range(len(senders))]
    for each in (here, there):
        each.focus("logits")
    # FP32 sums in another order; where a last bit tips a rounding to INT8, a number moves by a
    # 127th of its row's largest. Tensor cores add FP8 with 13 bits, which tips more of them, each
    # by up to an eighth of itself.
    tolerance = {"fp32": 1e-5, "pahq-int8": 2e-3, "pahq-fp8": 2e-2}[policy]
    mine, theirs = (each.damages(logits, cut_sets) for each in (here, there))
    assert mine == pytest.approx(theirs, abs=tolerance, rel=tolerance)
