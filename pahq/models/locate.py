"""Where a model's files lie. No torch: lists and previews need no more than this."""

from contextlib import suppress
from pathlib import Path

from pahq import catalog
from pahq.catalog import ModelEntry, megabytes
from pahq.errors import BadModel, UnknownName
from pahq.models.files import INDEX, WHOLE, context_of, read_config
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


def hub_name(name: str) -> str:
    """Return what the hub calls a model."""
    entry = catalog.model_or_none(name)
    return entry.hub if entry is not None and entry.hub else name


def is_here(entry: ModelEntry) -> bool:
    """Return whether a model's files are on this computer; never asks the network."""
    if entry.source == "shipped":
        return (models_dir() / entry.name / "config.json").is_file()
    return _in_cache(entry.name)


def check_here(name: str) -> None:
    """Refuse a model of the hub that is not on this computer; never asks the network.

    Raises:
        UnknownName: for a model that does not exist.
        BadModel: for one that a run would have to download.
    """
    if find_directory(name) is None and not _in_cache(name):
        how = "offline mode is on (HF_HUB_OFFLINE)" if is_offline() else "only a run downloads it"
        raise needs_download(name, because=how)


def is_offline() -> bool:
    """Return whether this computer was told not to ask the hub."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def needs_download(name: str, *, because: str) -> BadModel:
    """Return the error for a model that is not here; ``because`` says why it was not fetched."""
    entry = catalog.model_or_none(name)
    size = f" ({megabytes(entry.fp32_bytes)})" if entry is not None else ""
    shipped = (e.name for e in catalog.MODELS if e.source == "shipped")
    return BadModel(
        f"The model '{name}' is not on this computer and must be downloaded first{size}.",
        why=because,
        fix="run it once while this computer is online, or give the directory of a copy, or use "
        f"a shipped model: {', '.join(shipped)}",
    )


def _in_cache(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    with suppress(HFValidationError):
        files = (try_to_load_from_cache(hub_name(name), file) for file in (WHOLE, INDEX))
        return any(isinstance(file, str) for file in files)
    return False


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
