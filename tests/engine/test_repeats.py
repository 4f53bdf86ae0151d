import torch

from pahq.engine.repeats import Repeats


class Counting:
    """Evaluates a row as the sum of what is written there, and keeps how many it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, wanted, outputs):
        self.asked.append(int(wanted.sum()))
        values = outputs.flatten(2).sum(-1).double()
        return values.masked_fill(~wanted, torch.nan)


def outputs(*values):
    """Return alternatives of two prompts, one number written in each."""
    return torch.tensor(values, dtype=torch.float32)[:, :, None, None]


def test_what_was_written_before_is_not_evaluated_again():
    evaluate = Counting()
    repeats = Repeats(outputs([1.0, 2.0])[0])
    first = outputs([1.0, 3.0], [1.0, 3.0], [5.0, 2.0])
    found = repeats.damages(first, evaluate)
    assert found.tolist() == [[1, 3], [1, 3], [5, 2]]
    # Standing 1 and 2, new 3 and 5; each once, though seen twice.
    assert evaluate.asked == [4]
    again = repeats.damages(outputs([5.0, 2.0], [6.0, 3.0]), evaluate)
    assert again.tolist() == [[5, 2], [6, 3]]
    assert evaluate.asked == [4, 1]


def test_one_prompts_output_says_nothing_about_another():
    evaluate = Counting()
    found = Repeats(outputs([1.0, 2.0])[0]).damages(outputs([2.0, 1.0]), evaluate)
    assert found.tolist() == [[2, 1]]
    assert evaluate.asked == [2]


def test_what_is_not_a_number_is_evaluated_and_stays_so():
    evaluate = Counting()
    repeats = Repeats(outputs([1.0, 2.0])[0])
    for _ in range(2):
        found = repeats.damages(outputs([float("nan"), 2.0]), evaluate)
        assert found.isnan().tolist() == [[True, False]]


def test_the_standing_damages_may_be_known_beforehand():
    evaluate = Counting()
    repeats = Repeats(outputs([1.0, 2.0])[0], torch.tensor([10.0, 20.0], dtype=torch.float64))
    assert repeats.damages(outputs([1.0, 3.0]), evaluate).tolist() == [[10, 3]]
    assert evaluate.asked == [1]
