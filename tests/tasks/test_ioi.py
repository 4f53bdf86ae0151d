"""Indirect objects: one name twice, one name once, and a twin in which nothing repeats."""

import re

import pytest

from pahq.errors import UsageError
from pahq.tasks.ioi import ALL_TEMPLATES, TASK, TEMPLATES, Ioi
from pahq.tokenizer import Tokenizer
from tests.any_example import any_example

FIRST = re.compile(
    r"Then, (?P<a>\w+) and (?P<b>\w+) went to the (\w+)\. (?P<s>\w+) gave a (\w+) to"
)


def rows(tokenizer, count=60, task=TASK):
    return [task.pair(i, seed=0, tokenizer=tokenizer) for i in range(count)]


@any_example
def test_the_answer_is_the_name_said_once_and_wrong_is_the_one_said_twice(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    found = FIRST.fullmatch(pair.clean)
    assert found
    once = ({found["a"], found["b"]} - {found["s"]}).pop()
    assert pair.answers == (f" {once}",)
    assert pair.wrong == (f" {found['s']}",)


@any_example
def test_the_corrupt_twin_holds_three_other_names_in_the_same_scene(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    clean, corrupt = FIRST.fullmatch(pair.clean), FIRST.fullmatch(pair.corrupt)
    names = {corrupt["a"], corrupt["b"], corrupt["s"]}
    assert len(names) == 3
    assert not names & {clean["a"], clean["b"]}
    assert (clean[3], clean[5]) == (corrupt[3], corrupt[5])  # place and object


def test_both_orders_occur(tokenizer):
    found = [FIRST.fullmatch(pair.clean) for pair in rows(tokenizer)]
    assert {match["s"] == match["a"] for match in found} == {True, False}


def test_by_default_all_rows_have_one_length(tokenizer, encoded):
    assert len({len(pair.clean) for pair in encoded(rows(tokenizer), tokenizer)}) == 1


def test_all_fifteen_templates_can_be_asked_for(tokenizer, encoded):
    pairs = rows(tokenizer, 300, Ioi(templates=ALL_TEMPLATES))
    assert encoded(pairs, tokenizer)
    openings = {re.sub(r" [A-Z]\w+", "", pair.clean)[:12] for pair in pairs}
    assert len(TEMPLATES) == 15
    assert len(openings) >= 6  # many begin alike


def test_an_example_depends_on_seed_and_index_alone(tokenizer):
    assert rows(tokenizer, 20) == rows(tokenizer, 50)[:20]
    assert TASK.pair(0, seed=1, tokenizer=tokenizer) != TASK.pair(0, seed=0, tokenizer=tokenizer)


def test_only_names_of_one_token_are_used(byte_pairs):
    assert byte_pairs.single(" Christopher") is None  # as rare names are in GPT-2
    for pair in rows(byte_pairs, 200):
        assert byte_pairs.single(pair.answers[0]) is not None


def test_the_words_are_looked_up_once_not_for_every_example(word_level):
    class Counting(Tokenizer):
        asked = 0

        def encode(self, text):
            Counting.asked += 1
            return super().encode(text)

    counting = Counting(word_level.backend)
    rows(counting, 1)
    before = Counting.asked
    rows(counting, 50)
    assert Counting.asked == before


def test_a_vocabulary_without_names_is_refused(letters):
    with pytest.raises(UsageError, match="ioi") as error:
        TASK.pair(0, seed=0, tokenizer=letters)
    assert "the tokenizer has 0" in error.value.why
