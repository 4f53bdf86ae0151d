"""What a measurement is called, and what it says of where it was made."""

import pytest
import torch

from pahq.bench import engine, results


@pytest.mark.parametrize(
    ("there", "device", "name", "command"),
    [
        (False, "cpu", "x", "pahq bench x"),
        (True, "cpu", "x", "pahq bench x --device cpu"),
        (True, "cuda", "x-cuda", "pahq bench x --device cuda"),
    ],
)
def test_each_kind_of_device_keeps_its_own(there, device, name, command, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(results, "environment", lambda device: {"device": device.type})
    found = results.record("x", command="pahq bench x", device=device, rows=[])
    assert (found["name"], found["command"]) == (name, command)
    assert found["environment"] == {"device": device}


def test_every_part_of_a_measurement_is_made_on_one_device(monkeypatch):
    asked = []

    def measured(*, what, config, **rest):
        asked.append(config["device"])
        if what == "bridge memory":
            return {"peak_bytes": 2, "baseline_bytes": 1}
        return {"kept": ["input->a0.h0<q>"], "edges": 9, "tests": 5, "seconds": 1.0,
                "bridge_seconds": {"logits": 1.0}}  # fmt: skip

    monkeypatch.setattr(engine, "in_own_process", measured)
    monkeypatch.setattr(engine, "record", lambda name, **found: found)
    found = engine.at_size([0.1, 0.01], device="cuda")
    assert found["device"] == "cuda"
    assert asked == ["cuda"] * 5  # two searches, the small model's circuit for each, the bridge
