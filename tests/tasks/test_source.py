"""How many pairs a task gives: a file has an end, a named task has none."""

import json

import pytest

from pahq.tasks.source import USUAL_COUNT, is_file, read_task

ROWS = [
    {"clean": [1, i % 9 + 2], "corrupt": [2, i % 9 + 2], "answers": [i % 10]} for i in range(70)
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"prompts": ROWS}))
    return str(path)


def read(task, *, count, tokenizer=None, vocabulary=20):
    return read_task(
        task, count=count, seed=0, tokenizer=tokenizer, vocabulary=vocabulary, context=64
    )


def test_all_rows_of_a_file_are_taken_in_file_order(file):
    pairs = read(file, count=None)
    assert [pair.targets[0].answers[0] for pair in pairs] == [i % 10 for i in range(70)]


def test_a_number_takes_the_first_rows_of_a_file(file):
    assert read(file, count=7) == read(file, count=None)[:7]


def test_a_named_task_gives_its_usual_number_of_pairs(word_level):
    named = {"tokenizer": word_level, "vocabulary": word_level.size}
    assert len(read("pronoun", count=None, **named)) == USUAL_COUNT == 50
    assert len(read("pronoun", count=3, **named)) == 3


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ioi", False),
        ("inducton", False),
        ("mine.json", True),
        ("mine.txt", True),
        ("./mine", True),
        ("/data/mine", True),
    ],
)
def test_a_name_with_an_ending_or_a_folder_is_a_files(name, file):
    assert is_file(name) == file
