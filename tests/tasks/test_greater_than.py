"""Greater-than: every later year of the century is right, every other one wrong."""

import re

import pytest

from pahq.errors import UsageError
from pahq.tasks.greater_than import TASK
from tests.any_example import any_example

PROMPT = re.compile(r"The \w+ lasted from the year (?P<xx>\d\d)(?P<yy>\d\d) to (?P<again>\d\d)")


@any_example
def test_answers_are_all_later_years_and_wrong_all_others(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    year = int(PROMPT.fullmatch(pair.clean)["yy"])
    assert [int(token) for token in pair.answers] == list(range(year + 1, 100))
    assert [int(token) for token in pair.wrong] == list(range(year + 1))


@any_example
def test_the_corrupt_twin_starts_in_year_01_of_the_same_century(tokenizer, index, seed):
    pair = TASK.pair(index, seed=seed, tokenizer=tokenizer)
    clean, corrupt = PROMPT.fullmatch(pair.clean), PROMPT.fullmatch(pair.corrupt)
    assert corrupt["yy"] == "01"
    assert clean["xx"] == clean["again"] == corrupt["xx"] == corrupt["again"]
    assert 2 <= int(clean["yy"]) <= 98


def test_clean_and_corrupt_differ_in_one_token(tokenizer, encoded):
    pairs = [TASK.pair(i, seed=0, tokenizer=tokenizer) for i in range(40)]
    for pair in encoded(pairs, tokenizer):
        differing = [a != b for a, b in zip(pair.clean, pair.corrupt, strict=True)]
        assert sum(differing) == 1
        assert tokenizer.decode((pair.corrupt[differing.index(True)],)) == "01"


def test_a_vocabulary_without_two_digit_numbers_is_refused(letters):
    with pytest.raises(UsageError, match="greater-than"):
        TASK.pair(0, seed=0, tokenizer=letters)
