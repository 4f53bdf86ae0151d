"""Directories as users have them: good ones load, bad ones are refused by the file's name."""

import json
import re
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from pahq.errors import BadModel, UnknownName
from pahq.models.loading import NATIVE_TYPE, load_model
from pahq.models.locate import find_directory
from pahq.runs.memory import PeakMemory
from tests.random_models import Recipe, random_bridge

CPU = torch.device("cpu")


@pytest.fixture
def gpt2(tmp_path):
    config = GPT2Config(
        vocab_size=20, n_positions=8, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    return tmp_path / "gpt2"


def test_a_directory_in_the_hugging_face_layout_loads_as_it_is(gpt2):
    tokens = torch.arange(6)[None]
    theirs = GPT2LMHeadModel.from_pretrained(gpt2, local_files_only=True)(tokens).logits
    model = load_model(str(gpt2), device=CPU)
    assert torch.allclose(model.bridge(tokens), theirs, atol=1e-6)
    assert (model.weights.shape.n_layers, model.weights.shape.n_heads) == (2, 2)
    assert (model.weights.context, model.weights.vocabulary) == (8, 20)
    assert model.tokenizer is None


def test_weights_are_the_bridges_own_not_copies(gpt2):
    model = load_model(str(gpt2), device=CPU)
    assert model.weights.embedding.data_ptr() == model.bridge.W_E.data_ptr()


@pytest.fixture
def attention_only(tmp_path):
    """Return a directory and the bridge that it was written from."""
    bridge = random_bridge(Recipe(layers=2, heads=2, mlp=False))
    fields = {
        "n_layers": 2, "d_model": 8, "d_head": 4, "n_heads": 2, "n_ctx": 12, "d_vocab": 23,
        "act_fn": "gelu_new", "normalization_type": "LN", "attn_only": True,
        "positional_embedding_type": "standard",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"model_type": NATIVE_TYPE, **fields}))
    state = {key: value.contiguous() for key, value in bridge.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    return tmp_path, bridge


def test_an_attention_only_directory_loads(attention_only):
    path, bridge = attention_only
    tokens = torch.arange(5)[None]
    model = load_model(str(path), device=CPU)
    assert torch.equal(model.bridge(tokens), bridge(tokens))
    assert not model.weights.shape.mlp


def test_the_hash_follows_the_weights(gpt2):
    before = load_model(str(gpt2), device=CPU).hash
    assert load_model(str(gpt2), device=CPU).hash == before
    file = gpt2 / "model.safetensors"
    weights = load_file(file)
    weights["transformer.wte.weight"][0, 0] += 1
    save_file(weights, file, metadata={"format": "pt"})
    assert load_model(str(gpt2), device=CPU).hash != before


def test_a_directory_without_weights_is_refused(gpt2):
    (gpt2 / "model.safetensors").unlink()
    with pytest.raises(BadModel, match="holds no weights"):
        load_model(str(gpt2), device=CPU)


def test_a_pickle_is_refused_by_name(gpt2):
    (gpt2 / "model.safetensors").rename(gpt2 / "pytorch_model.bin")
    with pytest.raises(BadModel, match=r"pytorch_model\.bin is a pickle"):
        load_model(str(gpt2), device=CPU)


def test_a_damaged_file_is_refused_by_name(gpt2):
    file = gpt2 / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadModel, match=r"model\.safetensors is damaged"):
        load_model(str(gpt2), device=CPU)


def rewrite(directory, **changes):
    file = directory / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vocab_size": 21}, r"model\.safetensors .*wte\.weight .* \[20, 8\], .* \[21, 8\]"),
        ({"n_embd": 12}, r"model\.safetensors holds transformer\.h\.0\..*\[.*\], .* \[.*\], and"),
        ({"n_layer": 3}, r"no file holds transformer\.h\.2\..* and 9 more"),
        ({"n_layer": 1}, r"model\.safetensors holds transformer\.h\.1\..*unknown"),
    ],
    ids=str,
)
def test_weights_that_do_not_fit_their_config_are_named(gpt2, change, said):
    rewrite(gpt2, **change)
    with pytest.raises(BadModel, match=r"do not fit its config\.json") as error:
        load_model(str(gpt2), device=CPU)
    assert re.search(said, error.value.why)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_ctx": 13}, r"pos_embed\.weight in the shape \[12, 8\], .* \[13, 8\]"),
        ({"n_layers": 3}, r"no file holds blocks\.2"),
        ({"n_layers": 1}, r"model\.safetensors holds blocks\.1"),
    ],
    ids=str,
)
def test_weights_that_do_not_fit_an_attention_only_config_are_named(attention_only, change, said):
    rewrite(attention_only[0], **change)
    with pytest.raises(BadModel, match=r"do not fit its config\.json") as error:
        load_model(str(attention_only[0]), device=CPU)
    assert re.search(said, error.value.why)


@pytest.mark.parametrize(
    "change",
    [{"n_layers": 0}, {"n_layers": "two"}, {"n_layers": -1}, {"d_head": 2.5}, {"eps": "small"}],
    ids=str,
)
def test_a_size_that_cannot_be_is_refused_with_the_file(attention_only, change):
    rewrite(attention_only[0], **change)
    [name] = change
    with pytest.raises(BadModel, match=rf"config\.json says {name} = .*\n.*above 0"):
        load_model(str(attention_only[0]), device=CPU)


def test_a_field_that_is_none_of_its_loaders_is_refused_with_the_file(attention_only):
    rewrite(attention_only[0], n_lairs=2)
    with pytest.raises(BadModel, match=r"config\.json does not describe a model.\n.*n_lairs"):
        load_model(str(attention_only[0]), device=CPU)


def test_an_unknown_activation_lists_the_known_ones(gpt2):
    rewrite(gpt2, activation_function="gleu_new")
    with pytest.raises(BadModel, match=r'activation_function = "gleu_new"') as error:
        load_model(str(gpt2), device=CPU)
    assert "relu" in error.value.why
    assert "did you mean gelu_new" in error.value.fix


def test_weights_in_parts_load_and_a_missing_part_is_named(gpt2):
    whole = load_model(str(gpt2), device=CPU)
    GPT2LMHeadModel.from_pretrained(gpt2).save_pretrained(gpt2, max_shard_size="2KB")
    (gpt2 / "model.safetensors").unlink()
    parts = sorted(gpt2.glob("model-*.safetensors"))
    assert len(parts) > 1
    found = load_model(str(gpt2), device=CPU)
    assert torch.equal(found.weights.unembedding, whole.weights.unembedding)
    parts[-1].unlink()
    with pytest.raises(BadModel, match=rf"{parts[-1].name} is missing"):
        load_model(str(gpt2), device=CPU)
    (gpt2 / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(BadModel, match=r"index\.json is damaged"):
        load_model(str(gpt2), device=CPU)


def test_a_missing_or_broken_config_is_refused(gpt2):
    (gpt2 / "config.json").write_text("{")
    with pytest.raises(BadModel, match=r"config\.json cannot be read"):
        load_model(str(gpt2), device=CPU)
    (gpt2 / "config.json").unlink()
    with pytest.raises(BadModel, match="not a model directory"):
        load_model(str(gpt2), device=CPU)


def test_remote_code_is_never_run(gpt2):
    file = gpt2 / "config.json"
    config = {**json.loads(file.read_text()), "auto_map": {"AutoModelForCausalLM": "evil.Model"}}
    file.write_text(json.dumps(config))
    with pytest.raises(BadModel, match="remote code"):
        load_model(str(gpt2), device=CPU)


def test_a_family_we_cannot_compute_is_refused_with_the_reasons(tmp_path):
    config = LlamaConfig(
        vocab_size=20, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=8,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(BadModel, match=r"(?s)LlamaForCausalLM.*positions.*gated"):
        load_model(str(tmp_path), device=CPU)


def test_layers_that_the_files_cannot_hold_are_refused_before_they_are_made(gpt2, attention_only):
    for path, name in ((gpt2, "n_layer"), (attention_only[0], "n_layers")):
        rewrite(path, **{name: 10**9})
        with pytest.raises(BadModel, match=rf"says {name} = 1,000,000,000, .* 2\d tensors"):
            load_model(str(path), device=CPU)


LLAMA = {"model_type": "llama", "hidden_size": 832, "intermediate_size": 2000,
         "num_hidden_layers": 20}  # fmt: skip
HUGE = {"n_embd": 1000, "n_layer": 12}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (LLAMA, r"config\.json describes \(LlamaForCausalLM\)(?s:.*)positions(?s:.*)gated"),
        (
            HUGE,
            r"model\.safetensors holds transformer\.h\.0\.attn\.c_attn\.bias .*\[24\], .*\[3000\]",
        ),
    ],
    ids=["family", "size"],
)
def test_what_is_not_in_the_files_is_never_allocated(gpt2, change, said):
    """Either would take more than half a gigabyte; its description takes a few megabytes."""
    load_model(str(gpt2), device=CPU)  # the libraries count for nothing
    rewrite(gpt2, **change)
    memory = PeakMemory()
    before = memory.peak
    with pytest.raises(BadModel, match=said):
        load_model(str(gpt2), device=CPU)
    assert memory.peak - before < 2e8


def test_an_attention_only_model_that_is_not_in_the_files_is_never_allocated(attention_only):
    path = attention_only[0]
    load_model(str(path), device=CPU)
    rewrite(path, d_vocab=100_000, d_model=1000)
    memory = PeakMemory()
    before = memory.peak
    with pytest.raises(BadModel, match=r"model\.safetensors holds .* in the shape"):
        load_model(str(path), device=CPU)
    assert memory.peak - before < 2e8


def test_the_architecture_is_that_of_the_model_type_whatever_config_json_calls_it(gpt2):
    rewrite(gpt2, architectures=["LlamaForCausalLM"])
    assert load_model(str(gpt2), device=CPU).weights.shape.n_layers == 2


def test_a_name_that_is_nothing_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"(?s)'tiny-gtp'.*did you mean tiny-gpt"):
        find_directory("tiny-gtp")


def test_a_hub_model_offline_says_that_it_needs_a_download():
    with pytest.raises(BadModel, match=r"'distilgpt2' is not on .* first \(328 MB\)") as error:
        load_model("distilgpt2", device=CPU)
    assert error.value.why.startswith("this computer is offline: ")
    assert "shipped model: tiny-gpt" in error.value.fix


def test_a_name_that_the_hub_does_not_have_is_told_from_being_offline(monkeypatch):
    def answer(*_, **__):
        response = SimpleNamespace(status_code=404, headers={}, request=None, text="")
        raise RepositoryNotFoundError("404", response=response)

    monkeypatch.setattr("huggingface_hub.snapshot_download", answer)
    with pytest.raises(UnknownName, match="hub has no model 'nobody/nothing'"):
        load_model("nobody/nothing", device=CPU)
