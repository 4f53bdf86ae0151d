"""The shipped models do what their cards say, on prompts that neither training nor search used."""

import json

import pytest
import torch

from pahq.discovery.acdc import Rule, acdc
from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import Problem
from pahq.graph.build import Graph
from pahq.metrics import find_metric
from pahq.models.loading import load_model
from pahq.paths import models_dir
from pahq.precision.policy import find_policy
from pahq.tasks import induction, ioi
from pahq.tasks.base import encode, examples
from pahq.tasks.batches import batches
from scripts.training import attn_2l, cards, evaluate, hand, tiny_gpt

TASKS = {
    "tiny-gpt": tiny_gpt.TASKS,
    "attn-2l": attn_2l.TASKS,
    "hand-induction": ("induction",),
}
REQUIRED = {
    "ioi": 0.98,
    "ioi, unseen templates and pairs of names": 0.98,
    "docstring": 0.98,
    "pronoun": 0.98,
    "greater-than": 0.85,
    "induction, second half of non-periodic repeats": 0.95,
}


@pytest.fixture(scope="module", params=list(TASKS))
def shipped(request):
    return load_model(request.param, device=torch.device("cpu"))


def patterns(model):
    def attention(ids):
        with torch.no_grad():
            _, cache = model.bridge.run_with_cache(ids)
        layers = range(model.weights.shape.n_layers)
        return torch.stack([cache[f"blocks.{n}.attn.hook_pattern"] for n in layers])

    return attention


def profiles(model):
    context = model.weights.context
    found = evaluate.head_profiles(patterns(model), tokenizer=model.tokenizer, context=context)
    return {profile.name: profile for profile in found}


def scored(model):
    return evaluate.scores(
        lambda ids: model.bridge(ids),
        TASKS[model.name],
        tokenizer=model.tokenizer,
        context=model.weights.context,
    )


def test_the_card_states_what_the_model_reaches(shipped):
    stated = {score.what: score for score in cards.read_scores(models_dir() / shipped.name)}
    found = scored(shipped)
    assert [score.what for score in found] == list(stated)
    for score in found:
        assert score.value == pytest.approx(stated[score.what].value, abs=0.002), score.what
        assert score.value >= REQUIRED.get(score.what, 0.9), score.what


def test_nothing_shipped_is_a_pickle_or_in_low_precision(shipped):
    folder = models_dir() / shipped.name
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    assert {p.dtype for p in shipped.bridge.parameters()} == {torch.float32}


def test_all_models_together_stay_below_twenty_megabytes():
    files = [path for path in models_dir().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20e6


@pytest.mark.parametrize("name", ["attn-2l", "hand-induction", "tiny-gpt"])
def test_a_head_of_the_first_layer_looks_one_token_back(name):
    heads = profiles(load_model(name, device=torch.device("cpu")))
    assert max(head.lags[1] for key, head in heads.items() if key.startswith("a0.")) > 0.5


@pytest.mark.parametrize("name", ["attn-2l", "hand-induction"])
def test_a_head_of_the_second_layer_looks_where_the_word_was_followed_last_time(name):
    heads = profiles(load_model(name, device=torch.device("cpu")))
    assert max(head.induction for key, head in heads.items() if key.startswith("a1.")) > 0.7


def kept_edges(model, *, tau, task=induction.TASK, seed=0, count=16):
    drawn = examples(task, count, seed=seed, tokenizer=model.tokenizer)
    pairs = encode(
        [pair for _, pair in drawn],
        tokenizer=model.tokenizer,
        vocabulary=model.weights.vocabulary,
        context=model.weights.context,
    )
    graph = Graph(model.weights.shape)
    problem = Problem(
        graph=graph,
        batches=batches(pairs),
        metric=find_metric("kl", task=task.name),
        policy=find_policy("fp32"),
        ablation="corrupt",
    )
    events = acdc(graph, FastEvaluator(problem, model.weights), Rule(threshold=tau))
    return {event.edge for event in events if getattr(event, "kept", False)}


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("end", [0, 1])
def test_acdc_finds_exactly_the_circuit_that_was_written_into_hand_induction(end, seed):
    known = json.loads((models_dir() / "hand-induction" / "known_circuit.json").read_text())
    assert (known["edges"], known["thresholds"]) == (list(hand.EDGES), list(hand.THRESHOLDS))
    model = load_model("hand-induction", device=torch.device("cpu"))
    tau = known["thresholds"][end]
    assert kept_edges(model, tau=tau, seed=seed) == set(known["edges"])


def test_the_written_weights_are_the_shipped_ones():
    model = load_model("hand-induction", device=torch.device("cpu"))
    written = hand.weights(model.tokenizer.size)
    for name, tensor in model.bridge.state_dict().items():
        assert torch.equal(tensor, written[name]), name


def test_in_attn_2l_a_previous_token_head_feeds_the_induction_heads():
    model = load_model("attn-2l", device=torch.device("cpu"))
    heads = profiles(model)
    previous = {name for name, head in heads.items() if head.lags[1] > 0.9}
    kept = kept_edges(model, tau=0.1)
    fed = {edge.split("->")[1].removesuffix("<k>") for edge in kept if edge.endswith("<k>")}
    feeding = {edge.split("->")[0] for edge in kept if edge.endswith("<k>") and "->a1" in edge}
    assert feeding == previous
    assert all(heads[name].induction > 0.7 for name in fed if name.startswith("a1."))


def test_in_tiny_gpt_the_previous_token_head_reaches_the_induction_heads_keys():
    model = load_model("tiny-gpt", device=torch.device("cpu"))
    heads = profiles(model)
    (previous,) = [name for name, head in heads.items() if head.lags[1] > 0.9]
    (inductive,) = [name for name, head in heads.items() if head.induction > 0.7]
    kept = {tuple(edge.split("->")) for edge in kept_edges(model, tau=0.05)}
    assert {(previous, "m0"), ("m0", f"{inductive}<k>")} <= kept


@pytest.mark.slow
def test_tiny_gpts_ioi_circuit_spans_at_least_three_layers():
    model = load_model("tiny-gpt", device=torch.device("cpu"))
    kept = kept_edges(model, tau=0.05, task=ioi.TASK, count=8)
    senders = {edge.split("->")[0] for edge in kept} - {"input"}
    assert len({sender.split(".")[0][1:] for sender in senders}) >= 3
