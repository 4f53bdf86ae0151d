"""Word-level tokenizers: one token a word, with the space before it, as GPT-2 has for common words.

Text -> tokens -> text gives the same text back, so that what people read is what the model reads.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

BEGIN, UNKNOWN = "<|begin|>", "<|unknown|>"
SPLIT = r"'t| ?[A-Za-z]+| ?[0-9]{1,2}| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+"
"""GPT-2's pattern, except that digits go in twos: " 1732" is " 17", "32"."""


def vocabulary(texts: Iterable[str]) -> list[str]:
    """Return the special tokens, then every piece of ``texts`` in order of first appearance."""
    pieces = (piece for text in texts for piece in re.findall(SPLIT, text))
    return list(dict.fromkeys([BEGIN, UNKNOWN, *pieces]))


def build_tokenizer(words: list[str]) -> Tokenizer:
    """Return a tokenizer whose token ids are the places of ``words``."""
    model = models.WordLevel(
        vocab={word: i for i, word in enumerate(words)},
        unk_token=UNKNOWN,
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()  # joins without spaces: tokens bring their own
    tokenizer.add_special_tokens([BEGIN, UNKNOWN])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, context: int) -> None:
    """Write ``tokenizer.json`` and the configuration that transformers reads beside it."""
    from scripts.training.files import write_json

    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BEGIN,
            "eos_token": BEGIN,
            "unk_token": UNKNOWN,
            "model_max_length": context,
            "clean_up_tokenization_spaces": False,
        },
    )
