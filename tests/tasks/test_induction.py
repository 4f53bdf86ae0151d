"""Induction: a piece of the beginning comes again, at a distance that says nothing."""

import pytest

from pahq.errors import UsageError
from pahq.paths import models_dir
from pahq.tasks.induction import FIRST, SECOND, TASK
from pahq.tokenizer import Tokenizer
from tests.any_example import any_example


@any_example
def test_the_answer_followed_the_last_word_the_first_time(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    first, last = pair.clean[:FIRST], pair.clean[-1]
    assert len(set(first)) == FIRST  # so there is one first time only
    assert pair.answers == (first[first.index(last) + 1],)


@any_example
def test_nothing_repeats_in_the_corrupt_twin(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    assert len(set(pair.corrupt)) == len(pair.corrupt)
    assert pair.corrupt[FIRST:] == pair.clean[FIRST:]
    assert not set(pair.corrupt) & set(pair.answers)


@any_example
def test_wrong_is_what_stands_in_the_answers_place_in_the_twin(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    place = pair.clean[:FIRST].index(pair.answers[0])
    assert pair.wrong == (pair.corrupt[place],)


def test_the_distance_of_the_repetition_varies_so_that_no_fixed_lag_helps(tokenizer):
    pairs = [TASK.pair(i, seed=0, tokenizer=tokenizer) for i in range(100)]
    lags = {FIRST + SECOND - 1 - pair.clean.index(pair.clean[-1]) for pair in pairs}
    assert len(lags) >= 6


def test_no_special_token_is_drawn(word_level):
    drawn = {i for n in range(200) for i in TASK.pair(n, seed=0, tokenizer=word_level).clean}
    assert not drawn & word_level.special


@pytest.mark.parametrize("model", ["hand-induction", "attn-2l", "tiny-gpt"])
def test_every_shipped_model_has_words_enough(model, encoded):
    tokenizer = Tokenizer.from_directory(models_dir() / model)
    assert encoded([TASK.pair(i, seed=0, tokenizer=tokenizer) for i in range(20)], tokenizer)


def test_large_vocabularies_give_words_that_people_can_read(byte_pairs):
    text = byte_pairs.words(TASK.pair(0, seed=0, tokenizer=byte_pairs).clean)
    assert all(word[0] == " " and word[1:].isalpha() for word in text)


def test_a_vocabulary_of_six_letters_is_too_small(letters):
    with pytest.raises(UsageError, match="induction") as error:
        TASK.pair(0, seed=0, tokenizer=letters)
    assert "24" in error.value.why
