"""Where a model's files lie. No torch: lists and previews need no more than this."""

from pathlib import Path

from pahq import catalog
from pahq.errors import BadModel, UnknownName
from pahq.models.files import context_of, read_config
from pahq.paths import models_dir
from pahq.tokenizer import Tokenizer


def find_directory(name: str) -> Path | None:
    """Return the directory of a shipped or local model; None for a name of the hub.

    Raises:
        UnknownName: for a name that is none of these.
    """
    entry = catalog.model_or_none(name)
    if entry is not None:
        return models_dir() / name if entry.source == "shipped" else None
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return None  # owner/model, as the hub writes it
    try:
        catalog.find(catalog.MODELS, name, kind="model")
    except UnknownName as error:
        raise UnknownName(
            error.what,
            why=f"neither a directory nor one of: {error.why.removeprefix('known are: ')}",
            fix=error.fix,
        ) from None
    return None


def find_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of a shipped or local model.

    Raises:
        UnknownName: for a model that does not exist.
        BadModel: if it is not on this machine or has no tokenizer.
    """
    path = find_directory(name)
    tokenizer = Tokenizer.from_directory(path) if path is not None else None
    if tokenizer is None:
        raise BadModel(
            f"The tokenizer of '{name}' is not here.",
            why="the model is not downloaded, or its directory holds no tokenizer.json",
            fix="name a shipped model or a directory with a tokenizer.json",
        )
    return tokenizer


def find_context(name: str) -> int | None:
    """Return the longest prompt of a shipped or local model, in tokens, if its config.json says so.

    Raises:
        UnknownName: for a model that does not exist.
        BadModel: if its config.json cannot be used.
    """
    path = find_directory(name)
    return context_of(read_config(path)) if path is not None else None


def version(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a model's files are written anew: names, sizes and times."""
    stats = ((file.name, file.stat()) for file in sorted(path.iterdir()))
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
