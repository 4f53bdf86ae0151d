"""Docstrings: the arguments are described in the order of the signature."""

import re

import pytest

from pahq.errors import UsageError
from pahq.tasks.docstring import TASK
from tests.any_example import any_example


def signature(text):
    return re.search(r"\(self, (.*)\):", text)[1].split(", ")


def described(text):
    return re.findall(r":param (\w+):", text)


@any_example
def test_the_answer_is_the_argument_after_the_two_described_ones(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    arguments = signature(pair.clean)
    assert len(arguments) == 6
    assert described(pair.clean) == arguments[2:4]
    assert pair.answers == (f" {arguments[4]}",)
    assert pair.clean.endswith(":param")


@any_example
def test_wrong_are_the_other_arguments(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    others = set(signature(pair.clean)) - {pair.answers[0].strip()}
    assert {name.strip() for name in pair.wrong} == others


@any_example
def test_in_the_corrupt_twin_docstring_and_signature_do_not_match(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    clean, corrupt = signature(pair.clean), signature(pair.corrupt)
    assert not set(described(pair.corrupt)) & set(corrupt)
    assert not set(corrupt[2:5]) & set(clean)
    assert (clean[:2], clean[5:]) == (corrupt[:2], corrupt[5:])


def test_every_row_can_be_encoded_and_twins_have_one_length(tokenizer, encoded):
    assert len(encoded([TASK.pair(i, seed=3, tokenizer=tokenizer) for i in range(60)], tokenizer))


def test_a_vocabulary_without_argument_names_is_refused(letters):
    with pytest.raises(UsageError, match="docstring"):
        TASK.pair(0, seed=0, tokenizer=letters)
