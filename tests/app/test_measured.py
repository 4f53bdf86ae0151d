import json

from made_logs import events, records, sensitivity_record, write_run

from measured import FULL_PRECISION, NO_SENSITIVITY, NO_TWIN, NOT_ENDED, Measured
from pahq.discovery.events import EdgeTested
from pahq.runs.store import RunFolder
from pahq.viz.feed import Feed, feed_of


def run(path, **settings) -> RunFolder:
    return RunFolder(write_run(path, **settings))


def measured(folder: RunFolder, *among: RunFolder, feed: Feed | None = None) -> dict:
    return Measured(folder, lambda: among).of(feed or feed_of(folder.records()[0]))


def verdicts(**settings) -> dict[str, bool]:
    return {e.edge: e.kept for e in events(**settings) if isinstance(e, EdgeTested)}


def test_flips_are_the_decisions_with_another_verdict_in_full_precision(tmp_path):
    folder, full = run(tmp_path / "low"), run(tmp_path / "full", policy="fp32")
    found = measured(folder, folder, full)["flips"]
    here, there = verdicts(), verdicts(policy="fp32")
    numbers = [i for i, edge in enumerate(here) if here[edge] != there[edge]]
    assert [i for i, *_ in found["rows"]] == numbers
    assert (found["reference"], found["edges"]) == ("full", 1519)
    effects = {e.i: e.effect for e in events(policy="fp32") if isinstance(e, EdgeTested)}
    number, effect, cause = found["rows"][0]
    assert abs(effect - effects[number]) <= 1e-4 * abs(effects[number])
    assert cause in ("near threshold", "underflow", "not tested", "other")


def test_a_run_without_a_twin_in_full_precision_says_so(tmp_path):
    folder = run(tmp_path / "low")
    found = measured(folder, folder)
    assert found["flips"] is None
    assert found["refused"] == {"sensitivity": NO_SENSITIVITY, "flips": NO_TWIN}


def test_a_run_in_full_precision_has_nothing_to_be_compared_with(tmp_path):
    folder = run(tmp_path / "full", policy="fp32")
    assert measured(folder, run(tmp_path / "again", policy="fp32"))["refused"]["flips"] == (
        FULL_PRECISION
    )


def test_flips_are_counted_once_and_only_when_the_run_has_ended(tmp_path):
    folder, full = run(tmp_path / "low"), run(tmp_path / "full", policy="fp32")
    asked = []
    found = Measured(folder, lambda: asked.append(1) or [full])
    whole = records()
    feed = feed_of(whole[:-1])
    assert found.of(feed)["refused"]["flips"] == NOT_ENDED
    feed.add(whole[-1:])
    for _ in range(3):
        assert found.of(feed)["flips"]["rows"]
    assert asked == [1]
    assert found.of(feed_of(whole[:400]))["refused"]["flips"] == NOT_ENDED  # resumed


def test_an_ended_run_without_a_circuit_says_so(tmp_path):
    folder, full = run(tmp_path / "low"), run(tmp_path / "full", policy="fp32")
    (folder.path / "circuit.json").unlink()
    assert "has no circuit" in measured(folder, full)["refused"]["flips"]


def test_sensitivity_is_read_as_soon_as_the_policy_has_measured_it(tmp_path):
    folder = run(tmp_path / "low", upto=100)
    feed = feed_of(folder.records()[0])
    found = Measured(folder, tuple)
    assert found.of(feed)["sensitivity"] is None
    (folder.path / "sensitivity.json").write_text(json.dumps(sensitivity_record()))
    sent = found.of(feed)
    assert sent["sensitivity"]["compared"] == "int8"
    assert "sensitivity" not in sent["refused"]


def test_a_damaged_file_counts_as_missing(tmp_path):
    folder = run(tmp_path / "low")
    (folder.path / "sensitivity.json").write_text("{")
    assert measured(folder)["refused"]["sensitivity"] == NO_SENSITIVITY
