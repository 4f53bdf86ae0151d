"""Task files: two formats are read; whatever is wrong is one message that names the place."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pahq.errors import BadTaskFile
from pahq.tasks.base import PromptPair, encode
from pahq.tasks.files import TaskFile, load_file

GOOD = {"clean": "a b", "corrupt": "a c", "answers": [" d"], "wrong_answers": [" e"]}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file and gives its path; objects become JSON."""

    def file(content, name="mine.json"):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text, encoding="utf-8")
        return path

    return file


def prompts(*rows, **more):
    return {"prompts": list(rows), **more}


# --- AutoCircuit's JSON ------------------------------------------------------------------------


def test_a_json_row_is_a_prompt_pair(write):
    file = load_file(write(prompts(GOOD)))
    assert file.pairs == (PromptPair("a b", "a c", (" d",), (" e",)),)
    assert (file.title, file.prepend_bos) == ("mine", False)


def test_prompts_may_be_token_ids_and_answers_ids_or_text(write):
    row = {"clean": [1, 2], "corrupt": [1, 3], "answers": [4, " five"], "wrong_answers": []}
    assert load_file(write(prompts(row))).pairs == (PromptPair((1, 2), (1, 3), (4, " five")),)


def test_unknown_keys_are_ignored(write):
    content = prompts({**GOOD, "note": 1}, word_idxs={"x": 1}, seq_labels=["x"])
    assert load_file(write(content)) == load_file(write(content))
    assert load_file(write(content)).pairs == load_file(write(prompts(GOOD), "b.json")).pairs


def test_wrong_answers_may_be_left_out(write):
    row = {key: value for key, value in GOOD.items() if key != "wrong_answers"}
    assert load_file(write(prompts(row))).pairs[0].wrong == ()


def test_prepend_bos_and_positions_hold_for_the_file_and_a_row_may_differ(write):
    content = prompts(GOOD, {**GOOD, "positions": 0}, positions=[-2], prepend_bos=True)
    file = load_file(write(content))
    assert [pair.positions for pair in file.pairs] == [(-2,), (0,)]
    assert file.prepend_bos


def test_with_several_positions_answers_may_be_left_out(write):
    row = {"clean": [1, 2, 3], "corrupt": [1, 4, 3], "positions": [0, 1]}
    assert load_file(write(prompts(row))).pairs[0].positions == (0, 1)


def test_the_hash_tells_contents_apart(write):
    one, other = write(prompts(GOOD)), write(prompts(GOOD, GOOD), "other.json")
    assert load_file(one).hash == load_file(one).hash != load_file(other).hash


# --- EAP-IG's CSV ------------------------------------------------------------------------------


def test_a_csv_row_is_a_prompt_pair(write):
    text = 'clean,corrupted,corrupted_hard,correct_idx,incorrect_idx\n"a, b",a c,x,4,"[5, 6]"\n'
    file = load_file(write(text, "ioi.csv"))
    assert file.pairs == (PromptPair("a, b", "a c", (4,), (5, 6)),)


def test_a_csv_may_lack_wrong_answers_and_may_hold_lists_of_ids(write):
    text = 'clean,corrupted,correct_idx\n"[1, 2]","[1, 3]",4\n'
    assert load_file(write(text, "ids.csv")).pairs == (PromptPair((1, 2), (1, 3), (4,)),)


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_first_column(write):
    text = "clean,corrupted,correct_idx,positions\r\na b,a c,4,-2\r\n"
    file = load_file(write(b"\xef\xbb\xbf" + text.encode(), "bom.csv"))
    assert file.pairs[0].positions == (-2,)


# --- bad input ---------------------------------------------------------------------------------

BAD_JSON = {
    "empty": ("", 'is empty.\n  why: there are no prompts in it\n  fix: write {"prompts"'),
    "empty text": (prompts({**GOOD, "clean": ""}), "row 1: clean is empty"),
    "empty texts": (prompts({**GOOD, "clean": "", "corrupt": ""}), "clean and corrupt are empty"),
    "spaces": (" \n", "is empty"),
    "no prompts": (prompts(), "has no rows"),
    "a list": ([GOOD], "prompts"),
    "prompts is text": ({"prompts": "x"}, "prompts"),
    "comma too many": ('{"prompts": [\n  {"clean": 1,}\n]}', "line 2, column 15"),
    "bos is text": (prompts(GOOD, prepend_bos="yes"), "prepend_bos"),
    "row is text": (prompts(GOOD, "x"), "row 2"),
    "no clean": (prompts({**GOOD, "clean": None}), "no clean"),
    "no corrupt": (prompts(GOOD, {"clean": "a", "answers": []}), "row 2: has no corrupt"),
    "no answers": (prompts({"clean": "a", "corrupt": "b"}), "no answers"),
    "clean is a number": (prompts({**GOOD, "clean": 5}), "flat list of token ids"),
    "clean is nested": (prompts({**GOOD, "clean": [[1, 2]]}), "flat list of token ids"),
    "clean is no ids": (prompts({**GOOD, "clean": []}), "flat list of token ids"),
    "true is no id": (prompts({**GOOD, "clean": [1, True]}), "flat list of token ids"),
    "answer is true": (prompts({**GOOD, "answers": [True]}), "answers is [true]"),
    "answer is 1.5": (prompts({**GOOD, "answers": [1.5]}), "single tokens"),
    "answer is NaN": ('{"prompts": [{"clean": "a", "corrupt": "b", "answers": [NaN]}]}', "NaN"),
    "answer is text": (prompts({**GOOD, "answers": " d"}), "single tokens"),
    "wrong is text": (prompts({**GOOD, "wrong_answers": " d"}), "wrong_answers"),
    "position is text": (prompts({**GOOD, "positions": "last"}), "positions"),
    "position is true": (prompts({**GOOD, "positions": True}), "positions"),
    "no position": (prompts(GOOD, positions=[]), "positions"),
    "endless number": ('{"prompts": ' + "9" * 5000 + "}", "not valid JSON"),
    "endless nesting": ("[" * 100_000, "not valid JSON"),
}


@pytest.mark.parametrize(("content", "said"), BAD_JSON.values(), ids=BAD_JSON.keys())
def test_a_bad_json_file_is_one_message(write, content, said):
    with pytest.raises(BadTaskFile) as error:
        load_file(write(content))
    assert said in str(error.value)
    assert "mine.json" in error.value.what


BAD_CSV = {
    "empty": ("", "is empty.\n  why: there are no prompts in it\n  fix: write clean,corrupted,"),
    "empty cell": ("clean,corrupted,correct_idx\n,b,1\n", "row 1: clean is empty"),
    "only names": ("clean,corrupted,correct_idx\n", "no rows follow"),
    "no column": ("clean,correct_idx\na,1\n", "lacks the column corrupted"),
    "short row": ("clean,corrupted,correct_idx\na,b,1\na,b\n", "row 2: has no correct_idx"),
    "no id": ("clean,corrupted,correct_idx\na,b, Mary\n", "row 1: correct_idx"),
    "nan": ("clean,corrupted,correct_idx,incorrect_idx\na,b,1,nan\n", "incorrect_idx"),
    "NaN": ("clean,corrupted,correct_idx\na,b,NaN\n", "correct_idx"),
    "1.5": ("clean,corrupted,correct_idx\na,b,1.5\n", "whole numbers"),
    "true": ("clean,corrupted,correct_idx\na,b,true\n", "whole numbers"),
    "open quote": ('clean,corrupted,correct_idx\n"a,b,1\n', "not valid CSV"),
    "position": ("clean,corrupted,correct_idx,positions\na,b,1,last\n", "positions"),
}


@pytest.mark.parametrize(("content", "said"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_a_bad_csv_file_is_one_message(write, content, said):
    with pytest.raises(BadTaskFile) as error:
        load_file(write(content, "mine.csv"))
    assert said in str(error.value)
    assert "mine.csv" in error.value.what


def test_a_missing_file_a_folder_and_another_ending_are_refused(tmp_path, write):
    for path in (tmp_path / "none.json", tmp_path, write("x", "notes.txt")):
        with pytest.raises(BadTaskFile, match=path.name):
            load_file(path)


def test_bytes_that_are_no_text_are_refused(write):
    with pytest.raises(BadTaskFile, match="UTF-8"):
        load_file(write(b'{"prompts": "\xff\xfe"}'))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["prompts", *GOOD, "positions"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def outcome(path):
    try:
        return "pairs" if isinstance(load_file(path), TaskFile) else "something else"
    except BadTaskFile as error:
        return "message" if error.what.startswith(path.name) else "a message without the name"


@given(content=anything)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_at_all_ends_in_anything_but_pairs_or_that_message(write, content):
    assert outcome(write(content)) in ("pairs", "message")


@given(text=st.text(max_size=80))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_at_all_makes_a_csv_fail_in_another_way(write, text):
    file = write(f"clean,corrupted,correct_idx\n{text}".encode(), "mine.csv")
    assert outcome(file) in ("pairs", "message")


def test_a_row_that_does_not_fit_the_model_is_named_by_its_place_in_the_file(write):
    good = {"clean": [1, 2], "corrupt": [1, 3], "answers": [2]}
    file = load_file(write(prompts(good, {**good, "corrupt": [1, 3, 4]})))
    with pytest.raises(BadTaskFile, match=r"mine\.json, row 2"):
        encode(file.pairs, tokenizer=None, vocabulary=9, context=9, source="mine.json")


def test_a_folder_is_no_task_file(tmp_path):
    with pytest.raises(BadTaskFile, match=r"is a folder(?s:.)*give the \.json or \.csv file"):
        load_file(tmp_path)
