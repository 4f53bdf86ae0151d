"""What the settings offer, with the facts a reader needs to choose. No torch, no session."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import psutil

from pahq import catalog
from pahq.catalog import megabytes
from pahq.errors import PahqError
from pahq.models.locate import find_context, find_tokenizer, is_here
from pahq.runs.pace import Pace
from pahq.tasks.preview import ShownPair, preview
from pahq.tokenizer import Tokenizer

DIRECTORY = "directory"  # the entry for a model of the user's own
FILE = "file"  # the entry for a task file
MORE = "more"  # the entry for every other policy
THRESHOLDS = [m * 10.0**e for e in range(-4, 0) for m in (1, 2, 5)] + [1.0]
THRESHOLDS = [float(f"{x:.1g}") for x in THRESHOLDS]
MAIN_POLICIES = {"cpu": ("fp32", "rtn-int8", "pahq-int8"), "cuda": ("fp32", "rtn-fp8", "pahq-fp8")}
SHORT = {"fp32": "Full", "rtn-int8": "Uniform", "rtn-fp8": "Uniform", "pahq-int8": "PAHQ",
         "pahq-fp8": "PAHQ"}  # fmt: skip
PACES = {
    "watch": ("Slow enough to watch", Pace(at_least=8.0)),
    "fast": ("As fast as possible", Pace()),
    "50": ("50 decisions a second", Pace(per_second=50.0)),
    "10": ("10 decisions a second", Pace(per_second=10.0)),
}


@dataclass(frozen=True)
class ModelFacts:
    """What there is to know about a model before it is loaded.

    Attributes:
        line: layers, heads, size and whether it is ready, in one line.
        ready: its files are on this computer.
        downloadable: pressing Run fetches it.
        notice: what the user should know before pressing Run; None if nothing.
    """

    line: str
    ready: bool
    notice: str | None = None
    downloadable: bool = False


def model_label(name: str) -> str:
    """Return a model's line in the list."""
    if name == DIRECTORY:
        return "A directory on this computer …"
    entry = catalog.model_or_none(name)
    if entry is None:
        return name
    missing = "missing" if entry.source == "shipped" else "download"  # in full it is cut off
    state = "ready" if is_here(entry) else missing
    if entry.memory_bytes > psutil.virtual_memory().total:
        state = "too big"
    return f"{entry.title} · {entry.layers}×{entry.heads} · {state}"


def model_facts(name: str) -> ModelFacts:
    """Return what to say below the list."""
    entry = catalog.model_or_none(name)
    if entry is None:
        path = Path(name).expanduser()
        if not name or not path.is_dir():
            what = f"{name} is not a directory." if name else "Give the directory's path."
            return ModelFacts("Hugging Face layout, safetensors only", False, what)
        return ModelFacts(str(path), True)
    ready = is_here(entry)
    size = megabytes(entry.fp32_bytes)
    line = f"{entry.layers} layers × {entry.heads} heads · {size}"
    if entry.source == "shipped":
        missing = f"The files of {entry.name} are not in this copy of pahq."
        return ModelFacts(line + (" · ready" if ready else ""), ready, None if ready else missing)
    notice = None
    if not ready:
        notice = (
            f"{entry.name} is not on this computer. Run downloads {size} from huggingface.co once; "
            "without a network the run ends at once and says so. The shipped models work offline."
        )
    need, free = entry.memory_bytes, psutil.virtual_memory().available
    if need > free:
        more = f"A search needs about {megabytes(need)}; {megabytes(free)} are free."
        notice = f"{notice} {more}" if notice else more
    state = "ready" if ready else "needs download"
    line += f" · {state} · a search takes about {megabytes(need)}"
    return ModelFacts(line, ready, notice, downloadable=not ready)


def policies(device: str) -> tuple[str, ...]:
    """Return the three policies of the switch: INT8 is fast on CPUs, FP8 on GPUs."""
    return MAIN_POLICIES["cuda" if device == "cuda" else "cpu"]


@dataclass(frozen=True)
class TaskCard:
    """A task in words, with its first example.

    Attributes:
        sentence: what the task tests.
        known: which circuit is known.
        pair: the first example, token by token; None if it cannot be shown.
        borrowed: model whose vocabulary is used because the chosen one is not here.
        problem: why the task does not fit the model.
    """

    sentence: str
    known: str = ""
    pair: ShownPair | None = None
    borrowed: str | None = None
    problem: dict[str, str] | None = None


@cache
def task_card(task: str, model: str, seed: int, stamp: float = 0.0) -> TaskCard:
    """Return a task's card in the model's own words. ``stamp``: when its file was changed."""
    entry = catalog.task_or_none(task)
    card = TaskCard(entry.description if entry else "Prompts from your file.")
    card = replace(card, known=entry.known if entry else "")
    tokenizer, borrowed = _tokenizer(model, task)
    if tokenizer is None:
        return card
    try:
        context = find_context(borrowed or model)
        shown = preview(task, tokenizer, count=1, seed=seed, context=context)
        return replace(card, pair=shown[0], borrowed=borrowed)
    except PahqError as error:
        return replace(card, problem=error.as_dict(), borrowed=borrowed)


def file_stamp(path: str) -> float:
    """Return when a file was changed, so that an edited task file is read again."""
    try:
        return Path(path).expanduser().stat().st_mtime
    except OSError:
        return 0.0


def _tokenizer(model: str, task: str) -> tuple[Tokenizer | None, str | None]:
    """Return the model's tokenizer, or that of a shipped model that does the task."""
    with suppress(PahqError):
        return find_tokenizer(model), None
    for entry in catalog.MODELS:
        if entry.source == "shipped" and (task in entry.tasks or task not in catalog.ALL_TASKS):
            with suppress(PahqError):
                return find_tokenizer(entry.name), entry.name
    return None, None
