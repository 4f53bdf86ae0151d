"""Text to token ids and back, without torch (``transformers`` would import it)."""

import json
from functools import cached_property
from pathlib import Path

import tokenizers

from pahq.errors import BadModel


class Tokenizer:
    """A model's own tokenizer, reduced to what tasks need. Never adds special tokens by itself."""

    def __init__(self, backend: tokenizers.Tokenizer, *, bos: str | None = None):
        self.backend = backend
        self.bos = bos

    @classmethod
    def from_file(cls, path: Path, *, bos: str | None = None) -> "Tokenizer":
        """Read a ``tokenizer.json``."""
        return cls(tokenizers.Tokenizer.from_file(str(path)), bos=bos)

    @classmethod
    def from_directory(cls, path: Path) -> "Tokenizer | None":
        """Read the tokenizer of a model directory; None if it has no ``tokenizer.json``."""
        if not (path / "tokenizer.json").is_file():
            return None
        settings = path / "tokenizer_config.json"
        try:
            found = json.loads(settings.read_text("utf-8")) if settings.exists() else {}
            bos = found.get("bos_token")
            # Older files write a token as {"content": "<s>", ...}.
            return cls.from_file(
                path / "tokenizer.json", bos=bos.get("content") if isinstance(bos, dict) else bos
            )
        except Exception as error:  # tokenizers raises nothing narrower
            raise BadModel(
                f"The tokenizer in {path} is damaged.",
                why=str(error),
                fix="copy tokenizer.json and tokenizer_config.json again",
            ) from None

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the token ids of ``text``."""
        return tuple(self.backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: tuple[int, ...]) -> str:
        """Return the text of ``ids``."""
        return self.backend.decode(list(ids), skip_special_tokens=False)

    def words(self, ids: tuple[int, ...]) -> tuple[str, ...]:
        """Return each token as a reader sees it, one string a token."""
        return tuple(self.decode((i,)) for i in ids)

    def single(self, text: str) -> int | None:
        """Return the id of ``text`` if it is exactly one known token, else None."""
        ids = self.encode(text)
        return ids[0] if len(ids) == 1 and ids[0] != self.unknown else None

    @cached_property
    def unknown(self) -> int | None:
        """Id of the unknown token; None where every text can be written."""
        token = getattr(self.backend.model, "unk_token", None)
        return self.backend.token_to_id(token) if token else None

    @cached_property
    def special(self) -> frozenset[int]:
        """Ids of special tokens (begin of text, padding, unknown ...)."""
        added = self.backend.get_added_tokens_decoder()
        known = {i for i, token in added.items() if token.special}
        return frozenset(known | ({self.unknown} if self.unknown is not None else set()))

    @cached_property
    def bos_id(self) -> int | None:
        """Id of the begin-of-text token, if the model has one."""
        return self.backend.token_to_id(self.bos) if self.bos else None

    @property
    def size(self) -> int:
        """Number of tokens."""
        return self.backend.get_vocab_size()
