"""Directories as users have them: good ones load, bad ones are refused by the file's name."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from pahq.errors import BadModel, UnknownName
from pahq.models.loading import NATIVE_TYPE, load_model
from pahq.models.locate import find_directory
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


def test_an_attention_only_directory_loads(tmp_path):
    bridge = random_bridge(Recipe(layers=2, heads=2, mlp=False))
    fields = {
        "n_layers": 2, "d_model": 8, "d_head": 4, "n_heads": 2, "n_ctx": 12, "d_vocab": 23,
        "act_fn": "gelu_new", "normalization_type": "LN", "attn_only": True,
        "positional_embedding_type": "standard",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"model_type": NATIVE_TYPE, **fields}))
    state = {key: value.contiguous() for key, value in bridge.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    tokens = torch.arange(5)[None]
    model = load_model(str(tmp_path), device=CPU)
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


@pytest.mark.parametrize("change", [{"n_embd": 12, "n_head": 2}, {"n_layer": 3}])
def test_weights_that_do_not_fit_their_config_are_refused(gpt2, change):
    file = gpt2 / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(BadModel, match=r"do not fit its config\.json"):
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


def test_a_name_that_is_nothing_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"(?s)'tiny-gtp'.*did you mean tiny-gpt"):
        find_directory("tiny-gtp")


def test_a_hub_model_offline_says_that_it_needs_a_download():
    with pytest.raises(
        BadModel, match=r"(?s)'distilgpt2' must be downloaded first \(328 MB\).*shipped"
    ):
        load_model("distilgpt2", device=CPU)
