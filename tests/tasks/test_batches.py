"""Batches: rows of one length together, never padded; every row counts the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pahq.tasks.base import EncodedPair, Target
from pahq.tasks.batches import NO_TOKEN, batches


def pair(length, *targets):
    clean = tuple(range(1, length + 1))
    return EncodedPair(clean, (0, *clean[1:]), targets or (Target(length - 1, (3,), (4, 5)),))


def test_rows_of_one_length_form_a_batch_in_their_order():
    short, long = batches([pair(4), pair(2), pair(4)])
    assert (tuple(short.clean.shape), tuple(long.clean.shape)) == ((1, 2), (2, 4))
    assert long.clean.tolist() == [[1, 2, 3, 4]] * 2
    assert long.corrupt.tolist() == [[0, 2, 3, 4]] * 2
    assert long.row.tolist() == [0, 1]


def test_short_lists_of_answers_are_filled_up():
    (batch,) = batches([pair(2, Target(1, (3,), ())), pair(2, Target(1, (6, 7), (8,)))])
    assert batch.answers.tolist() == [[3, NO_TOKEN], [6, 7]]
    assert batch.wrong.tolist() == [[NO_TOKEN], [8]]


def test_rows_without_any_wrong_answer_have_none():
    (batch,) = batches([pair(3, Target(0, (2,), ()), Target(1, (3,), ()))])
    assert batch.wrong.shape == (2, 0)
    assert batch.wrong.dtype == torch.long


def test_a_row_with_more_positions_weighs_no_more_than_another():
    (batch,) = batches([pair(3, Target(0, (2,), ()), Target(1, (3,), ())), pair(3)])
    assert batch.weight.tolist() == [0.25, 0.25, 0.5]
    assert batch.position.tolist() == [0, 1, 2]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_the_weights_of_all_batches_sum_to_one(lengths):
    total = sum(batch.weight.sum().item() for batch in batches([pair(n) for n in lengths]))
    assert total == pytest.approx(1)


def test_a_batch_moves_as_a_whole():
    (batch,) = batches([pair(2)])
    moved = batch.to(torch.device("meta"))
    assert {tensor.device.type for tensor in vars(moved).values()} == {"meta"}
