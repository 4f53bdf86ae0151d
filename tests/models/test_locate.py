"""What is known of a model from its directory alone."""

import pytest

from pahq.catalog import MODELS
from pahq.errors import BadModel, UnknownName
from pahq.models.locate import check_here, find_context, is_here


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ('{"n_ctx": 64}', 64),
        ('{"n_ctx": 64, "n_positions": 32}', 32),
        ('{"max_position_embeddings": 8}', 8),
        ("{}", None),
    ],
)
def test_the_context_is_what_config_json_says(tmp_path, config, context):
    (tmp_path / "config.json").write_text(config)
    assert find_context(str(tmp_path)) == context


def test_the_context_of_a_model_by_name():
    assert find_context("tiny-gpt") == 64
    assert find_context("gpt2") is None  # not on this machine
    with pytest.raises(UnknownName):
        find_context("tiny-gtp")


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Put the weights of GPT-2 small where the hub's client keeps what it has downloaded."""
    snapshot = tmp_path / "models--openai-community--gpt2" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"")
    refs = tmp_path / "models--openai-community--gpt2" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


def test_a_model_is_here_once_it_was_downloaded_under_the_hubs_own_name(cached):
    here = {entry.name: is_here(entry) for entry in MODELS}
    assert here["tiny-gpt"]
    assert here["gpt2"]
    assert not here["distilgpt2"]
    check_here("gpt2")
    check_here("tiny-gpt")


@pytest.mark.parametrize(
    ("offline", "why"), [(True, "offline mode is on"), (False, "only a run downloads it")]
)
def test_a_model_that_is_not_here_is_refused_without_a_request(cached, monkeypatch, offline, why):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    with pytest.raises(BadModel, match=r"'distilgpt2' is not on this computer .*\(328 MB\)") as e:
        check_here("distilgpt2")
    assert why in e.value.why
    with pytest.raises(BadModel, match="'nobody/nothing' is not on this computer"):
        check_here("nobody/nothing")
