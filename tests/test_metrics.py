import math

import pytest
import torch

from pahq import catalog
from pahq.errors import UsageError
from pahq.metrics import METRICS, Targets, check_answers, damage, find_metric, solved
from pahq.tasks.base import EncodedPair, Target
from pahq.tasks.batches import batches

LOG_HALF = math.log(0.5)


def targets(*pairs, full=None):
    """Return the targets of one batch over a vocabulary of four tokens."""
    [batch] = batches(pairs)
    logits = full if full is not None else torch.zeros(len(batch.row), 4)
    return Targets(batch, logits.double().log_softmax(-1))


def pair(*, answers=(), wrong=()):
    return EncodedPair((0, 1), (2, 1), (Target(1, answers, wrong),))


def test_the_catalog_lists_exactly_these_metrics():
    assert [entry.name for entry in catalog.METRICS] == list(METRICS)


def test_kl_of_a_coin_against_certainty():
    # Full model: half and half over two tokens. Circuit: 3/4 and 1/4.
    full = torch.tensor([[0.0, 0.0, -1e9, -1e9]])
    circuit = torch.tensor([[math.log(3.0), 0.0, -1e9, -1e9]])
    expected = 0.5 * (LOG_HALF - math.log(0.75)) + 0.5 * (LOG_HALF - math.log(0.25))
    assert damage(METRICS["kl"], circuit, targets(pair(), full=full)) == pytest.approx(expected)


def test_kl_of_the_full_model_with_itself_is_zero():
    full = torch.tensor([[0.3, -1.0, 2.0, 0.5]])
    assert damage(METRICS["kl"], full, targets(pair(), full=full)) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # logits 3, 1, 2, 0; answers 0 and 1 (mean 2), wrong 2 and 3 (mean 1)
        ("logit-diff", 1.0 - 2.0),
        ("accuracy", 0.0),
    ],
)
def test_logit_metrics_by_hand(name, expected):
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0]])
    found = damage(METRICS[name], logits, targets(pair(answers=(0, 1), wrong=(2, 3))))
    assert found == pytest.approx(expected)


def test_the_docstring_task_measures_against_the_worst_wrong_answer():
    metric = find_metric("logit-diff", task="docstring")
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0]])
    assert damage(metric, logits, targets(pair(answers=(0,), wrong=(1, 2)))) == pytest.approx(-1.0)


def test_probability_metrics_by_hand():
    logits = torch.tensor([[math.log(4.0), math.log(3.0), math.log(2.0), math.log(1.0)]])
    found = targets(pair(answers=(0, 1), wrong=(3,)))
    assert damage(METRICS["prob-diff"], logits, found) == pytest.approx(0.1 - 0.7)
    assert damage(METRICS["nll"], logits, found) == pytest.approx(-math.log(0.7))


def test_damage_is_the_mean_over_positions_then_over_rows():
    # Row 0 has one target, row 1 two: each row counts the same.
    rows = [
        EncodedPair((0, 1, 2), (1, 1, 2), (Target(2, (3,), ()),)),
        EncodedPair((0, 1, 2), (1, 1, 2), (Target(0, (1,), ()), Target(1, (2,), ()))),
    ]
    wrong_then_right = torch.tensor([[9.0, 0, 0, 0], [0, 9.0, 0, 0], [9.0, 0, 0, 0]])
    assert damage(METRICS["accuracy"], wrong_then_right, targets(*rows)) == pytest.approx(0.75)


def test_rows_of_different_lengths_share_the_damage_too():
    short = EncodedPair((0,), (1,), (Target(0, (3,), ()),))
    long = EncodedPair((0, 1), (1, 1), (Target(1, (3,), ()),))
    shares = [float(batch.weight.sum()) for batch in batches([short, long, long])]
    assert shares == pytest.approx([1 / 3, 2 / 3])


def test_a_metric_that_needs_wrong_answers_is_refused_without_them():
    found = batches([pair(answers=(1,))])
    check_answers("nll", found, task="mine")
    with pytest.raises(UsageError, match=r"'logit-diff'(?s:.)*wrong answers"):
        check_answers("logit-diff", found, task="mine")


def test_the_model_does_the_task_where_it_prefers_the_right_answers():
    full = torch.tensor([[2.0, 1.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0]])
    rows = [
        EncodedPair((0,), (1,), (Target(0, (0,), (1,)),)),
        EncodedPair((0,), (1,), (Target(0, (0,), (1,)),)),
        EncodedPair((0,), (1,), (Target(0, (3,), ()),)),
    ]
    assert solved(targets(*rows, full=full)).tolist() == [1.0, 0.0, 1.0]


def test_without_answers_nobody_knows_whether_it_does():
    assert solved(targets(pair())).isnan().all()
