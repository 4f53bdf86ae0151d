"""What the list of models says, and what stands below it."""

import pytest

import choices
from choices import model_facts, model_label
from pahq import catalog

SHOWN = 35  # characters of an option before the select box cuts it off
HUB = [entry.name for entry in catalog.MODELS if entry.source == "hub"]


@pytest.mark.parametrize("entry", catalog.MODELS, ids=lambda entry: entry.name)
def test_an_option_is_not_cut_off(entry, monkeypatch):
    for memory in (1e6, 1e12):
        monkeypatch.setattr(choices.psutil, "virtual_memory", lambda memory=memory: Free(memory))
        assert len(model_label(entry.name)) < SHOWN
    assert model_label("gpt2-medium") == "GPT-2 medium · 24×16 · download"


class Free:
    def __init__(self, size):
        self.total = self.available = size


@pytest.mark.parametrize("name", HUB)
@pytest.mark.parametrize("memory", [1e6, 1e12])
def test_a_hub_model_tells_its_size_and_the_memory_that_a_search_takes(name, memory, monkeypatch):
    monkeypatch.setattr(choices.psutil, "virtual_memory", lambda: Free(memory))
    entry, facts = catalog.model_or_none(name), model_facts(name)
    need = catalog.megabytes(entry.memory_bytes)
    assert f"{catalog.megabytes(entry.fp32_bytes)} · needs download" in facts.line
    assert facts.line.endswith(f"a search takes about {need}")
    assert facts.downloadable
    assert "is not on this computer" in facts.notice
    assert (f"needs about {need}; 1 MB are free" in facts.notice) == (memory == 1e6)
