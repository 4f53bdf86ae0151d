"""The prompts and models that benchmarks search: a planted model and its task file."""

import json
from dataclasses import dataclass
from pathlib import Path

from pahq.bench.planted import Shape, plant
from pahq.models.locate import find_directory
from pahq.tasks.source import read_task
from pahq.tokenizer import Tokenizer

SMALL = "tiny-gpt"  # the model whose circuit is planted
NOISE = 0.003
LEADING = 0  # token put before each prompt; the small model does not mind it
LENGTH = 16  # of tiny-gpt's IOI prompts with one leading token


@dataclass(frozen=True)
class Planted:
    """A model made for a benchmark.

    Attributes:
        model: its directory.
        task: its task file.
        places: the layers in which those of the small model lie.
    """

    model: str
    task: str
    places: tuple[int, ...]


def make_planted(
    folder: Path, *, shape: Shape | None = None, pairs: int, length: int = LENGTH
) -> Planted:
    """Make a model that contains ``tiny-gpt``, and IOI prompts of ``length`` tokens for it."""
    source = find_directory(SMALL)
    assert source is not None
    target = folder / "planted"
    places = plant(source, target, shape=shape, noise=NOISE)
    return Planted(str(target), str(_task_file(folder, source, pairs, length)), places)


def _task_file(folder: Path, source: Path, count: int, length: int) -> Path:
    """Write the small model's IOI prompts as token ids, leading tokens before each."""
    tokenizer = Tokenizer.from_directory(source)
    assert tokenizer is not None
    pairs = read_task("ioi", count=count, seed=0, tokenizer=tokenizer, vocabulary=1 << 30,
                      context=1 << 30)  # fmt: skip
    prompts = [
        {
            "clean": [LEADING] * (length - len(pair.clean)) + list(pair.clean),
            "corrupt": [LEADING] * (length - len(pair.corrupt)) + list(pair.corrupt),
            "answers": list(pair.targets[0].answers),
            "wrong_answers": list(pair.targets[0].wrong),
        }
        for pair in pairs
    ]
    path = folder / f"ioi-{length}-tokens.json"
    path.write_text(json.dumps({"prompts": prompts}), encoding="utf-8")
    return path
