"""In what form an evaluator holds its weights, and when it looks at what is mapped."""

from dataclasses import dataclass, field

import pytest

from pahq.discovery.acdc import Rule, acdc
from pahq.discovery.events import FocusChanged
from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import Problem
from pahq.engine.propagate import Shortcuts
from pahq.graph.build import Graph
from pahq.metrics import METRICS
from pahq.models.pages import Pages
from pahq.models.weights import take_weights
from pahq.precision import product
from pahq.precision.formats import INT8
from pahq.precision.panels import Panels, works
from pahq.precision.policy import RECIPES
from tests.devices import needs_int8
from tests.random_models import Recipe, random_bridge, random_prompts


def world(policy, metric="kl"):
    model = take_weights(random_bridge(Recipe(layers=3, heads=2)))
    prompts = random_prompts(5, rows=3)
    return Problem(Graph(model.shape), prompts, METRICS[metric], RECIPES[policy]), model


@needs_int8
@pytest.mark.parametrize(
    ("metric", "streams", "sums"),
    [("kl", True, True), ("kl", False, False), ("logit-diff", True, False), ("nll", True, False)],
)
def test_the_unembedding_is_held_for_sums_where_little_else_is_wanted(metric, streams, sums):
    problem, model = world("pahq-int8", metric)
    shortcuts = Shortcuts(stream_vocabulary=streams)
    multiply = FastEvaluator(problem, model, shortcuts=shortcuts).multiply
    assert isinstance(multiply._held(model.unembedding, INT8), Panels) == (sums and works())
    for weights in (weights for name, weights in model.matrices().items() if name[0] in "am"):
        assert not any(isinstance(multiply._held(weight, INT8), Panels) for weight in weights)


@dataclass(frozen=True)
class Counted(Pages):
    """Pages of which ever more is in memory."""

    looks: list[int] = field(default_factory=list)

    def resident_bytes(self) -> int:
        self.looks.append(1000 * (1 + len(self.looks)))
        return self.looks[-1]


def test_mapped_pages_are_looked_at_once_for_each_kind_of_focus():
    problem, model = world("pahq-int8")
    pages = Counted(ranges=((1, 2),))
    evaluator = FastEvaluator(problem, model, pages=pages)
    events = list(acdc(problem.graph, evaluator, Rule(threshold=0.0)))
    sizes = model.sizes()
    focuses = [sizes[event.focus] for event in events if isinstance(event, FocusChanged)]
    assert len(focuses) > 6
    # Once opened; and the last focus is not left.
    assert len(pages.looks) == 1 + len(set(focuses[:-1]))
    assert evaluator.memory()["weights_high"] == pages.looks[-1]


@pytest.mark.parametrize("policy", ["fp32", "pahq-int8", "rtn-int8"])
def test_an_mlp_in_focus_is_packed_where_it_computes_in_fp32(policy, monkeypatch):
    monkeypatch.setattr(product, "LARGE", 1)
    problem, model = world(policy)
    evaluator = FastEvaluator(problem, model)
    for component in ("m2", "a2.h1", "m1", "logits"):
        evaluator.focus(component)
        held = {id(weight) for weight, _ in evaluator.multiply._packed.values()}
        expected = component[0] == "m" and policy != "rtn-int8" and product.packs()
        assert held == ({id(w) for w in model.matrices()[component]} if expected else set())
