"""From authored pairs to token ids: every row is checked, and errors name it."""

import subprocess
import sys

import pytest

from pahq.errors import BadTaskFile, NothingToExplain
from pahq.tasks.base import (
    PromptPair,
    Target,
    encode,
    example_rng,
    examples,
    needs_words,
    single_tokens,
)


def ids(*pairs, tokenizer=None, vocabulary=10, context=8, **more):
    return encode(pairs, tokenizer=tokenizer, vocabulary=vocabulary, context=context, **more)


def test_token_ids_are_used_exactly_as_given():
    (row,) = ids(PromptPair((1, 2, 3), (1, 4, 3), answers=(5,), wrong=(6, 7)))
    assert (row.clean, row.corrupt) == ((1, 2, 3), (1, 4, 3))
    assert row.targets == (Target(2, (5,), (6, 7)),)


def test_text_becomes_the_tokenizers_ids(word_level):
    text = PromptPair("So Mary is", "So John is", answers=(" a",))
    (row,) = ids(text, tokenizer=word_level, vocabulary=word_level.size)
    assert word_level.words(row.clean) == ("So", " Mary", " is")
    assert word_level.words(row.targets[0].answers) == (" a",)


def test_the_begin_of_text_token_comes_first_where_a_file_says_so(word_level):
    text = PromptPair("So Mary", "So John", answers=(" is",))
    (row,) = ids(text, tokenizer=word_level, vocabulary=word_level.size, prepend_bos=True)
    assert row.clean[0] == row.corrupt[0] == word_level.bos_id
    assert row.targets[0].position == 2


def test_with_several_positions_the_answer_is_the_next_token_of_clean():
    (row,) = ids(PromptPair((1, 2, 3), (1, 4, 3), positions=(0, -2)))
    assert row.targets == (Target(0, (2,), ()), Target(1, (3,), ()))


REFUSED = {
    "unequal length": (PromptPair((1, 2), (1, 2, 3)), "2 tokens, the corrupt one 3"),
    "empty": (PromptPair((), ()), "empty"),
    "too long": (PromptPair((1,) * 9, (2,) * 9), "at most 8"),
    "unknown id": (PromptPair((1, 10), (1, 2)), "token id 10"),
    "negative id": (PromptPair((1, -1), (1, 2)), "token id -1"),
    "unknown answer": (PromptPair((1,), (2,), answers=(99,)), "token id 99"),
    "right and wrong": (PromptPair((1,), (2,), answers=(3,), wrong=(3,)), "both an answer"),
    "position outside": (PromptPair((1,), (2,), positions=(1,)), "outside"),
    "no position": (PromptPair((1,), (2,), positions=()), "no output is read"),
    "position twice": (PromptPair((1, 2), (2, 2), positions=(0, -2)), "twice"),
    "nothing after": (PromptPair((1, 2), (2, 2), positions=(0, 1)), "last token"),
    "text, no tokenizer": (PromptPair("a", "b"), "no tokenizer"),
    "text answer, no tokenizer": (PromptPair((1,), (2,), answers=("a",)), "no tokenizer"),
}


@pytest.mark.parametrize(("pair", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_row_that_cannot_be_used_is_named(pair, said):
    good = PromptPair((1,), (2,))
    with pytest.raises(BadTaskFile) as error:
        ids(good, pair, source="mine")
    assert said in str(error.value)
    assert "mine, row 2" in error.value.what


def test_both_token_lists_are_shown_when_lengths_differ(word_level):
    pair = PromptPair("So Mary is", "So John")
    with pytest.raises(BadTaskFile) as error:
        ids(pair, tokenizer=word_level, vocabulary=word_level.size)
    assert "['So', ' Mary', ' is']" in error.value.why
    assert "['So', ' John']" in error.value.why


def test_a_word_the_model_does_not_know_is_refused(word_level):
    with pytest.raises(BadTaskFile, match="at token 1"):
        ids(PromptPair("So Zarathustra", "So John"), tokenizer=word_level, vocabulary=500)


def test_an_answer_of_several_tokens_is_refused_with_its_pieces(word_level):
    pair = PromptPair("So Mary", "So John", answers=(" Mary is",))
    with pytest.raises(BadTaskFile) as error:
        ids(pair, tokenizer=word_level, vocabulary=word_level.size)
    assert "[' Mary', ' is']" in error.value.why


DIFFERENT = PromptPair((1, 2, 3), (1, 4, 3))


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([PromptPair((1, 2), (1, 2))], "row 1: clean and corrupt prompt are identical."),
        ([DIFFERENT, PromptPair((1, 2), (1, 2))], "row 2: clean and corrupt prompt are identical."),
        ([PromptPair((1, 2, 3), (1, 2, 4), positions=(1,))], "row 1: .* up to token 1"),
        ([DIFFERENT, PromptPair((1, 2, 3), (1, 2, 4), positions=(0, 1))], "row 2: .* to token 1"),
    ],
    ids=["all rows", "one row", "later than read", "later than the last read"],
)
def test_twins_that_differ_nowhere_the_answer_can_see_explain_nothing(pairs, said):
    with pytest.raises(NothingToExplain, match=said):
        ids(*pairs)


def test_twins_need_to_differ_before_one_of_the_positions_only():
    assert ids(PromptPair((1, 2, 3, 4), (1, 2, 5, 4), positions=(0, 2)))


def test_where_no_corrupt_value_is_used_twins_may_be_the_same():
    (row,) = ids(PromptPair((1, 2), (1, 2)), patched=False)
    assert row.clean == row.corrupt


def test_an_examples_randomness_depends_on_task_seed_and_index():
    draws = {
        example_rng(task, seed=seed, index=index).random()
        for task in ("ioi", "pronoun")
        for seed in (0, 1)
        for index in (0, 1)
    }
    assert len(draws) == 8
    assert example_rng("ioi", seed=0, index=1).random() in draws


def test_fewer_examples_are_a_prefix_of_more(word_level):
    class Counting:
        name = "counting"

        def pair(self, index, *, seed, tokenizer):
            return PromptPair((index,), (index + 1,))

    few, many = (list(examples(Counting(), n, seed=0, tokenizer=word_level)) for n in (2, 5))
    assert few == many[:2]


def test_only_words_of_one_token_are_kept(word_level):
    assert single_tokens([" Mary", " Zarathustra", " Mary John"], word_level) == [" Mary"]


def test_tasks_do_not_import_torch():
    modules = ["base", "files", "ioi", "greater_than", "docstring", "induction", "pronoun", "words"]
    code = f"import sys; {'; '.join(f'import pahq.tasks.{m}' for m in modules)}; "
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_token_is_no_tokens():
    with pytest.raises(BadTaskFile, match="clean prompt has 1 token, the corrupt one 2"):
        encode([PromptPair((1,), (1, 2))], tokenizer=None, vocabulary=9, context=9)


def test_a_vocabulary_that_lacks_words_is_told_what_how_many_and_which_models_have_them():
    error = needs_words("docstring", what="function names", found=0, needed=1)
    assert "of function names that are one token it needs at least 1; the" in error.why
    assert "`pahq tasks` says which models fit" in error.fix
