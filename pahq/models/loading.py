"""From a name or a directory to a loaded model. Never a pickle, never remote code."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from pahq.errors import BadModel, UnknownName
from pahq.models.files import WHOLE, check_activation, check_weights, hash_files, read_config
from pahq.models.locate import find_directory, hub_name, needs_download
from pahq.models.pages import Pages
from pahq.models.skeleton import (
    check_hugging_face,
    check_native,
    load_hugging_face,
    unknown_architecture,
)
from pahq.models.weights import ACTIVATIONS, ModelWeights, take_weights
from pahq.tokenizer import Tokenizer

NATIVE_TYPE = "pahq-attn-only"
HOOK_FLAGS = ("use_attn_in", "use_attn_result", "use_split_qkv_input")  # of a TransformerBridge


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready for a search.

    Attributes:
        name: what the user called it.
        bridge: the TransformerBridge.
        weights: the same weights for our own engines; views of the bridge's parameters. Those from
            files stay in the host's memory: a search places them where it wants them.
        tokenizer: None if the model came without one.
        hash: of its files (or of its parameters, for a bridge handed in).
        pages: the mapped files in which its weights lie; none for a bridge handed in.
        device: where searches compute.
    """

    name: str
    bridge: Any
    weights: ModelWeights
    tokenizer: Tokenizer | None
    hash: str
    pages: Pages = field(default_factory=Pages)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def moved_bridge(self) -> Any:
        """Return the bridge, on the device where searches compute."""
        _move(self.bridge, self.device)
        return self.bridge


def load_model(name: str, *, device: torch.device) -> LoadedModel:
    """Load a shipped model, a local directory, or a model of the Hugging Face hub.

    Raises:
        UnknownName: for a name that is neither.
        BadModel: for files that cannot be used, naming the file.
    """
    path = find_directory(name)
    if path is None:
        return _from_hub(name, device)
    config = _checked(path)
    native = config.get("model_type") == NATIVE_TYPE
    bridge = _boot_native(path, config) if native else _boot_transformers(path, config)
    return _from_files(name, path, bridge, device)


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
    if device is not None:
        _move(bridge, device)
    bridge.eval()
    at = next(bridge.parameters()).device
    return LoadedModel(name, bridge, take_weights(bridge), tokenizer, digest, device=at)


def _move(bridge: Any, device: torch.device) -> None:
    if next(bridge.parameters()).device != device:
        with contextlib.redirect_stdout(None):  # it announces the move on stdout
            bridge.to(device)


def _checked(path: Path) -> dict[str, Any]:
    """Return config.json, once all files are known to be whole."""
    config = read_config(path)
    check_weights(path)
    check_activation(path, config, ACTIVATIONS)
    return config


def _boot_native(path: Path, config: dict[str, Any]) -> Any:
    from transformer_lens.model_bridge.sources import boot_native

    file = path / WHOLE
    if not file.is_file():
        raise BadModel(f"{path} holds no {file.name}.", why="its weights are read from there",
                       fix="give the weights this name")  # fmt: skip
    bridge = boot_native(check_native(path, config))
    bridge.load_state_dict({key: value.float() for key, value in load_file(file).items()})
    return bridge


def _boot_transformers(path: Path, config: dict[str, Any]) -> Any:
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

    check_hugging_face(path, config)
    model, _ = load_hugging_face(path)
    architecture = type(model).__name__
    try:
        return build_bridge_from_module(
            model.eval(), architecture, hf_config=model.config, tokenizer=None
        )
    except ValueError as error:
        raise unknown_architecture(path, architecture, error) from None


def _from_hub(name: str, device: torch.device) -> LoadedModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    wanted = ["config.json", "*.safetensors", "*.index.json", "tokenizer*", "vocab*", "merges*"]
    try:
        folder = snapshot_download(hub_name(name), allow_patterns=wanted)
    except RepositoryNotFoundError:
        raise UnknownName(
            f"The Hugging Face hub has no model '{hub_name(name)}' that anyone may read.",
            why="it answered that there is no such repository",
            fix="check the name on huggingface.co, or give a directory",
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        alone = isinstance(error, LocalEntryNotFoundError | ConnectionError)
        state = "this computer is offline" if alone else "the hub did not give it"
        raise needs_download(name, because=f"{state}: {said}") from None
    path = Path(folder)
    return _from_files(name, path, _boot_transformers(path, _checked(path)), device)


def _from_files(name: str, path: Path, bridge: Any, device: torch.device) -> LoadedModel:
    bridge.cfg.model_name = name
    tokenizer = Tokenizer.from_directory(path)
    loaded = _loaded(name, bridge, None, tokenizer, hash_files(path))
    loaded = replace(loaded, pages=Pages.find(path), device=device)
    loaded.pages.release([loaded.weights.embedding, loaded.weights.unembedding])
    return loaded
