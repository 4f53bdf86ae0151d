"""What is known of a model from its directory alone."""

import pytest

from pahq.errors import UnknownName
from pahq.models.locate import find_context


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
