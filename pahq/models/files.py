"""A model directory's files, looked at before anything is loaded. No torch."""

import difflib
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pahq.errors import BadModel

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
CONTEXT = ("n_positions", "n_ctx", "max_position_embeddings")
SIZES = (
    *("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "d_vocab"),  # attention-only ones
    *("n_layer", "n_head", "n_embd", "n_inner", "vocab_size"),  # GPT-2's names
    *("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size"),
    *CONTEXT,
)
EPSILONS = ("eps", "layer_norm_epsilon", "layer_norm_eps")
ACTIVATION_NAMES = ("act_fn", "activation_function", "hidden_act")

LAYERS = ("n_layers", "n_layer", "num_hidden_layers", "num_layers")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class StoredTensor:
    """A tensor by its header: the file's name, and its shape."""

    file: str
    shape: Shape


def read_config(path: Path) -> dict[str, Any]:
    """Return config.json of the model directory ``path``.

    Raises:
        BadModel: if there is none, or it holds no settings, a size that cannot be, or asks for
            code that comes with the model.
    """
    file = path / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadModel(
            f"{path} is not a model directory.",
            why="it holds no config.json",
            fix="give a directory in the Hugging Face layout: config.json, *.safetensors",
        ) from None
    except (OSError, ValueError) as error:
        raise BadModel(f"{file} cannot be read.", why=str(error), fix="repair the file") from None
    if not isinstance(config, dict):
        raise BadModel(f"{file} holds no settings.", why="it is no JSON object", fix="repair it")
    if "auto_map" in config:
        raise BadModel(
            f"{file} asks for code that comes with the model ('auto_map').",
            why="pahq never runs remote code",
            fix="use a model of a family that transformers knows by itself",
        )
    for names, kinds, what in (
        (SIZES, (int,), "a whole number above 0"),
        (EPSILONS, (int, float), "a number above 0"),
    ):
        for name in names:
            value = config.get(name)
            if value is not None and (type(value) not in kinds or value <= 0):
                raise BadModel(
                    f"{file} says {name} = {json.dumps(value)}.",
                    why=f"it must be {what}",
                    fix="use the config.json that belongs to these weights",
                )
    return config


def context_of(config: Mapping[str, Any]) -> int | None:
    """Return the longest prompt of a model with this config.json, in tokens, if it says so."""
    return next((config[name] for name in CONTEXT if config.get(name) is not None), None)


def check_activation(path: Path, config: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse an activation function that is not in ``known``.

    Raises:
        BadModel: naming the nearest ones.
    """
    for name in ACTIVATION_NAMES:
        value = config.get(name)
        if value is None or value in known or config.get("attn_only"):
            continue
        near = difflib.get_close_matches(str(value), known, n=2, cutoff=0.6)
        raise BadModel(
            f"{path / 'config.json'} says {name} = {json.dumps(value)}.",
            why=f"pahq computes: {', '.join(known)}",
            fix=f"did you mean {' or '.join(near)}?" if near else "use a model with one of these",
        )


def check_weights(path: Path) -> None:
    """Refuse a directory whose weights are missing, incomplete, damaged or a pickle.

    Raises:
        BadModel: naming the file.
    """
    files = sorted(path.glob("*.safetensors"))
    if not files:
        pickles = [file.name for file in sorted(path.iterdir()) if file.suffix in PICKLES]
        if pickles:
            raise BadModel(
                f"{path / pickles[0]} is a pickle.",
                why="loading a pickle can run any code, so pahq never does",
                fix="save the model again with model.save_pretrained(..., safe_serialization=True)",
            )
        raise BadModel(
            f"{path} holds no weights.",
            why="there is no *.safetensors file in it",
            fix="copy model.safetensors into it",
        )
    for file in _named_by_index(path):
        if not file.is_file():
            raise BadModel(
                f"{file} is missing.",
                why=f"{INDEX} says that a part of the weights is in it",
                fix="copy or download it as well",
            )
    read_headers(path)


def read_headers(path: Path) -> dict[str, StoredTensor]:
    """Return what the files of a directory hold, by name; no tensor is read.

    Raises:
        BadModel: naming the file that is damaged.
    """
    found = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            with safe_open(file, framework="numpy") as weights:
                for name in weights.keys():  # noqa: SIM118 - it is no mapping
                    shape = tuple(weights.get_slice(name).get_shape())
                    found[name] = StoredTensor(file.name, shape)
        except (SafetensorError, OSError) as error:
            raise BadModel(
                f"{file} is damaged.", why=str(error), fix="copy or download it again"
            ) from None
    return found


def check_layers(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse a config.json with more layers than the files hold tensors.

    Raises:
        BadModel: naming both numbers.
    """
    count = len(read_headers(path))
    for name in LAYERS:
        layers = config.get(name)
        if isinstance(layers, int) and layers > count:
            raise BadModel(
                f"The weights in {path} do not fit its config.json.",
                why=f"config.json says {name} = {layers:,}, and the files hold {count:,} tensors; "
                "a layer has more than one",
                fix="use the config.json that belongs to these weights",
            )


def _named_by_index(path: Path) -> list[Path]:
    index = path / INDEX
    if not index.is_file() or (path / WHOLE).is_file():
        return []
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return [path / name for name in sorted(names)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadModel(
            f"{index} is damaged.",
            why=f"its weight_map cannot be read: {error}",
            fix="copy or download it again",
        ) from None


def misfit(
    path: Path,
    *,
    shapes: Sequence[tuple[str, Shape, Shape]] = (),
    missing: Collection[str] = (),
    unexpected: Collection[str] = (),
) -> BadModel | None:
    """Return the error for weights that are not what config.json asks for; None if they are.

    Args:
        path: the model directory.
        shapes: tensors of another shape: name, shape in the file, shape by config.json.
        missing: tensors that config.json asks for and no file has.
        unexpected: tensors that config.json knows nothing of.
    """
    if shapes:
        name, found, wanted = min(shapes)
        more = f", and {len(shapes) - 1} more" if len(shapes) > 1 else ""
        why = f"{_file_of(path, name)} holds {name} in the shape {list(found)}, " \
              f"config.json asks for {list(wanted)}{more}"  # fmt: skip
    elif missing:
        why = f"no file holds {_some(missing)}, which config.json asks for"
    elif unexpected:
        name = min(unexpected)
        why = f"{_file_of(path, name)} holds {_some(unexpected)}, unknown to config.json"
    else:
        return None
    return BadModel(
        f"The weights in {path} do not fit its config.json.",
        why=why,
        fix="use the config.json that belongs to these weights",
    )


def _some(names: Collection[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(sorted(names)[:3]) + more


def _file_of(path: Path, tensor: str) -> str:
    found = read_headers(path).get(tensor)
    return found.file if found is not None else "the file"


def hash_files(path: Path) -> str:
    """Return a hash of config.json and all weights."""
    digest = hashlib.sha256()
    for file in sorted([path / "config.json", *path.glob("*.safetensors")]):
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
