"""``pahq bench`` refuses before it measures."""

import pytest
import torch


@pytest.mark.parametrize("command", ["engine", "precision", "shortcuts", "scaling"])
def test_a_device_that_is_not_there_is_refused_at_once(command, refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "There is no CUDA device." in refused("bench", command, "--device", "cuda")
    assert "did you mean cuda" in refused("bench", command, "--device", "cudo")


def test_no_rounds_are_refused(refused):
    refused("bench", "precision", "--rounds", "0")
