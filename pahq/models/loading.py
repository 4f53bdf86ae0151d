"""From a name or a directory to a loaded model. Never a pickle, never remote code."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from pahq import catalog
from pahq.errors import BadModel
from pahq.models.locate import find_directory
from pahq.models.weights import ModelWeights, take_weights
from pahq.tokenizer import Tokenizer

NATIVE_TYPE = "pahq-attn-only"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
HOOK_FLAGS = ("use_attn_in", "use_attn_result", "use_split_qkv_input")  # of a TransformerBridge


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready for a search.

    Attributes:
        name: what the user called it.
        bridge: the TransformerBridge.
        weights: the same weights for our own engines; views of the bridge's parameters.
        tokenizer: None if the model came without one.
        hash: of its files (or of its parameters, for a bridge handed in).
    """

    name: str
    bridge: Any
    weights: ModelWeights
    tokenizer: Tokenizer | None
    hash: str


def load_model(name: str, *, device: torch.device) -> LoadedModel:
    """Load a shipped model, a local directory, or a model of the Hugging Face hub.

    Raises:
        UnknownName: for a name that is neither.
        BadModel: for files that cannot be used, naming the file.
    """
    path = find_directory(name)
    if path is None:
        return _from_hub(name, device)
    config = _read_config(path)
    _check_files(path, config)
    native = config.get("model_type") == NATIVE_TYPE
    bridge = _boot_native(path, config) if native else _boot_transformers(path, local=True)
    bridge.cfg.model_name = name
    return _loaded(name, bridge, device, Tokenizer.from_directory(path), _hash_files(path))


@contextlib.contextmanager
def borrow_bridge(bridge: Any, *, device: torch.device | None) -> Iterator[LoadedModel]:
    """Use a TransformerBridge that the caller has already loaded, and give it back as it was.

    Args:
        bridge: the model.
        device: where to compute; None for where it is. A bridge that must move stays there.
    """
    digest = hashlib.sha256()
    for key, tensor in sorted(bridge.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    fast = getattr(getattr(bridge, "tokenizer", None), "backend_tokenizer", None)
    tokenizer = Tokenizer(fast, bos=bridge.tokenizer.bos_token) if fast is not None else None
    training = [module for module in bridge.modules() if module.training]
    flags = {name: bool(getattr(bridge.cfg, name, False)) for name in HOOK_FLAGS}
    try:
        if flags["use_attn_in"]:
            bridge.set_use_attn_in(False)  # excludes split inputs
        name = str(bridge.cfg.model_name)
        yield _loaded(name, bridge, device, tokenizer, digest.hexdigest())
    finally:
        for name in sorted(flags, key=flags.__getitem__):  # what excludes another goes off first
            if bool(getattr(bridge.cfg, name, False)) != flags[name]:
                getattr(bridge, f"set_{name}")(flags[name])
        for module in training:
            module.training = True


def _loaded(
    name: str,
    bridge: Any,
    device: torch.device | None,
    tokenizer: Tokenizer | None,
    digest: str,
) -> LoadedModel:
    if device is not None and next(bridge.parameters()).device != device:
        with contextlib.redirect_stdout(None):  # it announces the move on stdout
            bridge.to(device)
    bridge.eval()
    return LoadedModel(name, bridge, take_weights(bridge), tokenizer, digest)


def _read_config(path: Path) -> dict[str, Any]:
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
    return config


def _check_files(path: Path, config: dict[str, Any]) -> None:
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
    for file in files:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise BadModel(
                f"{file} is damaged.", why=str(error), fix="copy or download it again"
            ) from None


def _boot_native(path: Path, config: dict[str, Any]) -> Any:
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources import boot_native

    fields = {key: value for key, value in config.items() if key != "model_type"}
    try:
        bridge = boot_native(TransformerBridgeConfig(**fields))
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError) as error:
        raise BadModel(
            f"{path / 'config.json'} does not describe a model.",
            why=str(error),
            fix="write the fields of transformer_lens' TransformerBridgeConfig",
        ) from None
    file = path / "model.safetensors"
    if not file.is_file():
        raise BadModel(f"{path} holds no {file.name}.", why="its weights are read from there",
                       fix="give the weights this name")  # fmt: skip
    weights = load_file(file)
    try:
        bridge.load_state_dict({key: value.float() for key, value in weights.items()})
    except RuntimeError as error:
        raise _wrong_shape(path, str(error)) from None
    return bridge


def _boot_transformers(source: Path | str, *, local: bool) -> Any:
    import transformers
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

    with _quiet(transformers):
        try:
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                str(source),
                local_files_only=local,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
            )
        except RuntimeError as error:
            raise _wrong_shape(source, str(error)) from None
        except Exception as error:  # its own checks raise errors of many kinds
            raise BadModel(
                f"transformers cannot load {source}.",
                why=str(error).splitlines()[0] if str(error) else type(error).__name__,
                fix="check config.json's model_type and sizes",
            ) from None
    model, info = loaded
    for kind in ("missing", "mismatched", "unexpected"):
        if keys := sorted(map(str, info.get(f"{kind}_keys", ()))):
            raise _wrong_shape(source, f"{kind} in its safetensors: {', '.join(keys[:4])}")
    architecture = model.config.architectures or [type(model).__name__]
    try:
        return build_bridge_from_module(
            model.eval(), architecture[0], hf_config=model.config, tokenizer=None
        )
    except ValueError as error:
        raise BadModel(
            f"transformer_lens does not know the architecture {architecture[0]} of {source}.",
            why=str(error).splitlines()[0],
            fix="use a model of GPT-2's kind or an attention-only one",
        ) from None


def _from_hub(name: str, device: torch.device) -> LoadedModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    entry = catalog.model_or_none(name)
    source = entry.hub if entry is not None and entry.hub else name
    wanted = ["config.json", "*.safetensors", "*.index.json", "tokenizer*", "vocab*", "merges*"]
    try:
        folder = snapshot_download(source, allow_patterns=wanted)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        size = f" ({entry.fp32_bytes / 1e6:,.0f} MB)" if entry else ""
        raise BadModel(
            f"The model '{name}' must be downloaded first{size}, and the hub cannot be reached.",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            fix="go online once, or give the directory of a copy, or use a shipped model: "
            + ", ".join(e.name for e in catalog.MODELS if e.source == "shipped"),
        ) from None
    path = Path(folder)
    _check_files(path, _read_config(path))
    bridge = _boot_transformers(path, local=True)
    bridge.cfg.model_name = name
    return _loaded(name, bridge, device, Tokenizer.from_directory(path), _hash_files(path))


def _wrong_shape(source: Path | str, detail: str) -> BadModel:
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    return BadModel(
        f"The weights in {source} do not fit its config.json.",
        why="; ".join(lines[:3]) or "shapes differ",
        fix="use the config.json that belongs to these weights",
    )


def _hash_files(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted([path / "config.json", *path.glob("*.safetensors")]):
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


class _quiet:
    """Silence transformers' progress bars and notices while loading; they are not ours to show."""

    def __init__(self, transformers: Any):
        self.logging = transformers.utils.logging

    def __enter__(self) -> None:
        self.verbosity = self.logging.get_verbosity()
        self.bar = self.logging.is_progress_bar_enabled()
        self.logging.set_verbosity_error()
        self.logging.disable_progress_bar()
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

    def __exit__(self, *_: object) -> None:
        self.logging.set_verbosity(self.verbosity)
        if self.bar:
            self.logging.enable_progress_bar()
