"""Pronouns: a name, and its twin of the other gender."""

import pytest

from pahq.errors import UsageError
from pahq.tasks.pronoun import TASK
from pahq.tasks.words import MEN, WOMEN
from tests.any_example import any_example


@any_example
def test_the_pronoun_fits_the_clean_name_and_not_the_corrupt_one(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    clean, corrupt = pair.clean.split()[1], pair.corrupt.split()[1]
    fitting = " he" if clean in MEN else " she"
    assert pair.answers == (fitting,)
    assert pair.wrong == tuple({" he", " she"} - {fitting})
    assert (clean in MEN) != (corrupt in MEN)


def test_clean_and_corrupt_differ_in_the_name_alone(tokenizer):
    pair = TASK.pair(0, seed=0, tokenizer=tokenizer)
    for text in (pair.clean, pair.corrupt):
        assert text.startswith("So ")
        assert text.endswith(" is a really great friend, isn't")


def test_no_name_counts_for_both(tokenizer):
    assert not set(MEN) & set(WOMEN)


def test_both_pronouns_are_asked_for_about_equally_often(tokenizer):
    pairs = [TASK.pair(i, seed=0, tokenizer=tokenizer) for i in range(200)]
    assert 70 < sum(pair.answers == (" he",) for pair in pairs) < 130


def test_every_row_can_be_encoded(tokenizer, encoded):
    assert encoded([TASK.pair(i, seed=0, tokenizer=tokenizer) for i in range(100)], tokenizer)


def test_a_vocabulary_without_pronouns_is_refused(letters):
    with pytest.raises(UsageError, match="pronoun"):
        TASK.pair(0, seed=0, tokenizer=letters)
