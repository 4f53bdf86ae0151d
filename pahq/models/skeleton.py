"""What config.json describes, without its weights: a misfit is refused before it takes memory.

On torch's meta device a model has names and shapes but no numbers, so the description of however
large a model costs nothing to compare with the files. First the number of layers (each is an
object, even without numbers), then the family, then every tensor.
"""

import os
import textwrap
from pathlib import Path
from typing import Any

import torch

from pahq.errors import BadModel
from pahq.models.files import check_layers, misfit, read_headers
from pahq.models.weights import check_family


def check_hugging_face(path: Path, config: dict[str, Any]) -> None:
    """Refuse a directory in the Hugging Face layout whose files are not what it says they are.

    Raises:
        BadModel: naming config.json and what is odd in it, or a file and a tensor.
    """
    from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_config_from_hf

    check_layers(path, config)
    model, info = load_hugging_face(path, device="meta")
    architecture = type(model).__name__
    try:
        translated = build_bridge_config_from_hf(
            model.config, architecture, str(path), torch.float32
        )
        adapter = ArchitectureAdapterFactory.select_architecture_adapter(translated)
    except Exception as error:  # unknown to it, or a setting that its own checks refuse
        raise unknown_architecture(path, architecture, error) from None
    check_family(adapter.cfg, source=path / "config.json")
    wrong = misfit(
        path,
        shapes=[(key, tuple(a), tuple(b)) for key, a, b in info.get("mismatched_keys", ())],
        missing=info.get("missing_keys", ()),
        unexpected=info.get("unexpected_keys", ()),
    )
    if wrong is not None:
        raise wrong


def check_native(path: Path, config: dict[str, Any]) -> Any:
    """Refuse a directory of pahq's own kind that does not fit together; return its settings.

    Raises:
        BadModel: as ``check_hugging_face``.
    """
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources import boot_native

    check_layers(path, config)
    fields = {key: value for key, value in config.items() if key != "model_type"}
    try:
        settings = TransformerBridgeConfig(**fields)
        check_family(settings, source=path / "config.json")
        with torch.device("meta"):
            wanted = boot_native(settings).state_dict()
    except BadModel:
        raise
    except Exception as error:  # its own checks raise errors of many kinds
        raise BadModel(
            f"{path / 'config.json'} does not describe a model.",
            why=str(error) or type(error).__name__,
            fix="write the fields of transformer_lens' TransformerBridgeConfig",
        ) from None
    found = {name: tensor.shape for name, tensor in read_headers(path).items()}
    wrong = misfit(
        path,
        shapes=[
            (key, shape, tuple(wanted[key].shape))
            for key, shape in found.items()
            if key in wanted and shape != tuple(wanted[key].shape)
        ],
        missing=wanted.keys() - found.keys(),
        unexpected=found.keys() - wanted.keys(),
    )
    if wrong is not None:
        raise wrong
    return settings


def load_hugging_face(path: Path, *, device: str = "cpu") -> tuple[Any, dict[str, Any]]:
    """Return the model as transformers loads it, and what it says of each tensor that is amiss.

    Raises:
        BadModel: if transformers cannot load it.
    """
    import transformers

    with _quiet(transformers):
        try:
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                str(path),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused by name, above
                device_map=device if device == "meta" else None,
            )
        except Exception as error:  # its own checks raise errors of many kinds
            raise BadModel(
                f"transformers cannot load {path}.",
                why=textwrap.shorten(str(error), 300) or type(error).__name__,
                fix="check config.json's model_type and sizes",
            ) from None
    return loaded


def unknown_architecture(path: Path, architecture: str, error: Exception) -> BadModel:
    """Return the error for a model that transformer_lens has no bridge for."""
    return BadModel(
        f"transformer_lens does not know the architecture {architecture} of {path}.",
        why=next(iter(str(error).splitlines()), type(error).__name__),
        fix="use a model of GPT-2's kind or an attention-only one",
    )


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
