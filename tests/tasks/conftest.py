"""Two tokenizers: the word-level one that ships with tiny-gpt, and byte pairs as GPT-2 has them."""

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from pahq.paths import models_dir
from pahq.tasks import words as w
from pahq.tasks.base import encode
from pahq.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def word_level():
    return Tokenizer.from_directory(models_dir() / "tiny-gpt")


@pytest.fixture(scope="session")
def byte_pairs():
    """GPT-2's kind of tokenizer, trained here: common words are one token, rare ones several."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    common = w.MEN[:20] + w.WOMEN[:20] + w.PLACES + w.OBJECTS + w.EVENTS[:10]
    common += w.VARIABLES[:20] + w.FUNCTIONS[:5] + w.DESCRIPTIONS[:12] + ("he", "she", "def")
    corpus = [f" {word} {word}" for word in common] * 20
    corpus += [f" {century}" for century in w.CENTURIES] * 200
    corpus += [f"({year})" for year in w.YEARS] * 30
    corpus += [f"({word})" for word in w.DESCRIPTIONS[:4]] * 20
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        min_frequency=20,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(corpus, trainer)
    return Tokenizer(backend)


@pytest.fixture(params=["word_level", "byte_pairs"])
def tokenizer(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def letters():
    """A tokenizer that knows the letters a to f and nothing else."""
    backend = Backend(models.WordLevel({"?": 0, **{c: i + 1 for i, c in enumerate("abcdef")}}, "?"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return Tokenizer(backend)


@pytest.fixture
def encoded():
    """Return a function that turns pairs into token ids, with all of ``encode``'s checks."""

    def check(pairs, tokenizer):
        return encode(pairs, tokenizer=tokenizer, vocabulary=tokenizer.size, context=512)

    return check
