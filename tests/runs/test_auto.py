"""``pahq-auto``: formats that are chosen once, kept in the run, and used again as they are."""

import json
import math

import pytest

from pahq.discovery.events import EdgeTested
from pahq.engine.sensitivity import CANDIDATES, NoiseMeter
from pahq.errors import PahqError, UsageError
from pahq.graph.circuit import read_circuit
from pahq.precision.policy import find_policy
from pahq.runs import auto, store
from pahq.runs.config import make_config, read_config
from pahq.runs.pipeline import Session

AUTO = {
    "model": "tiny-gpt", "task": "induction", "threshold": 0.05, "examples": 4, "threads": 1,
    "policy": "pahq-auto", "noise_budget": 1e-6,
}  # fmt: skip


@pytest.fixture(scope="module")
def session():
    return Session()


@pytest.fixture(scope="module")
def made(session, tmp_path_factory):
    """Return a finished run under the policy."""
    return session.start(make_config(**AUTO), out=tmp_path_factory.mktemp("auto") / "run")


@pytest.fixture
def measured(monkeypatch):
    """Return what is measured from now on: one entry for each measurement."""
    found, measure = [], NoiseMeter.noise

    def noise(self, formats):
        found.append(formats)
        return measure(self, formats)

    monkeypatch.setattr(NoiseMeter, "noise", noise)
    return found


def contents(folder, name):
    return json.loads((folder.path / name).read_text())


def circuit(folder):
    return read_circuit(folder.path / "circuit.json")


def decisions(folder):
    return [event for event in folder.events() if isinstance(event, EdgeTested)]


def test_a_run_keeps_the_policy_and_what_it_was_chosen_by(made):
    policy, chosen = contents(made, "policy.json"), contents(made, "sensitivity.json")
    assert chosen["unit"] == "nats"
    assert chosen["noise_budget"] == 1e-6
    assert 0 <= chosen["noise"] <= 1e-6
    assert chosen["pairs"] == 4
    assert policy["components"] == chosen["formats"]
    assert policy["focus"] == "fp32"
    # Every component is measured in every format, and has one of them or FP32.
    assert len(chosen["formats"]) == 1 + 4 * (8 + 1) + 1
    for name, fmt in chosen["formats"].items():
        assert tuple(chosen["sensitivity"][name]) == CANDIDATES["cpu"]
        assert fmt in (*CANDIDATES["cpu"], "fp32")
    assert len(set(chosen["formats"].values())) > 1


def test_a_format_is_chosen_where_the_device_multiplies_in_it(monkeypatch):
    """Emulated formats save nothing here; where all are, they serve another machine."""
    many = {**AUTO, "noise_budget": 1e-7}

    def chosen(*native):
        monkeypatch.setattr(auto, "is_native", lambda fmt, device: fmt.name in native)
        return Session().prepare(make_config(**many)).assignment

    everywhere = chosen()
    assert set(everywhere.formats.values()) == {"int8", "bf16", "fp32"}
    for fmt in CANDIDATES["cpu"]:
        alone = chosen(fmt)
        assert set(alone.formats.values()) == {fmt, "fp32"}
        assert alone.sensitivity == everywhere.sensitivity  # the map shows what any would cost
        assert alone.noise <= 1e-7


def test_the_noise_that_was_measured_is_the_noise_floor_of_the_search(session, made):
    """The formats were chosen on four prompts, and the search is made on these four."""
    noise = contents(made, "sensitivity.json")["noise"]
    # Full forwards, in another order of sums.
    plain = session.prepare(made.config.model_copy(update={"engine": "reference"}))
    assert plain.baseline.noise_floor_kl == pytest.approx(noise, rel=0.01, abs=1e-8)
    # Without full logits, whose rounding of order 1e-6 no longer cancels.
    assert made.summary["noise_floor_kl"] == pytest.approx(noise, abs=5e-6)


def test_its_policy_file_gives_the_same_circuit(session, made, measured):
    path = str(made.path / "policy.json")
    assert find_policy(path).components == contents(made, "policy.json")["components"]
    changes = {"policy": path, "noise_budget": None}
    again = session.start(make_config(**{**AUTO, **changes}))
    assert circuit(again).kept == circuit(made).kept
    assert circuit(again).effects == circuit(made).effects
    assert measured == []
    assert not (again.path / "sensitivity.json").exists()


def test_its_config_repeats_it_without_measuring_anew(session, made, measured):
    again = session.start(read_config(made.path / "config.json"))
    assert measured == []
    assert (again.path / "circuit.json").read_bytes() == (made.path / "circuit.json").read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_killed_run_goes_on_with_the_formats_it_had(session, made, measured, share, tmp_path):
    log = (made.path / "events.jsonl").read_bytes()
    killed = store.create(made.config, out=tmp_path / "killed")
    (killed.path / "events.jsonl").write_bytes(log[: int(share * len(log))])
    session.run(killed)
    assert measured == []
    assert decisions(killed) == decisions(made)
    assert (killed.path / "circuit.json").read_bytes() == (made.path / "circuit.json").read_bytes()


def test_a_stopped_run_goes_on_and_keeps_its_files(session, made):
    seen = []
    folder = session.start(
        make_config(**AUTO), on_event=lambda e, t: seen.append(e),
        should_stop=lambda: len(seen) > 30,
    )  # fmt: skip
    assert folder.summary["status"] == "stopped"
    chosen = contents(folder, "sensitivity.json")
    session.run(folder)
    assert folder.summary["status"] == "finished"
    assert contents(folder, "sensitivity.json") == chosen == contents(made, "sensitivity.json")
    assert circuit(folder).kept == circuit(made).kept


def test_the_same_settings_choose_the_same_formats(made):
    fresh = Session().prepare(make_config(**AUTO))
    assert fresh.policy.components == contents(made, "policy.json")["components"]
    assert fresh.config == made.config


@pytest.mark.parametrize("budget", [1e-12, 1e-7, 1e-5, 100.0])
def test_a_budget_is_met_whatever_it_is(session, made, budget):
    prepared = session.prepare(make_config(**{**AUTO, "noise_budget": budget}))
    found = prepared.assignment
    assert found.budget == budget
    assert found.noise <= budget
    used = set(found.formats.values())
    if budget == 100.0:
        assert used == {CANDIDATES["cpu"][0]}
    if budget == 1e-12:
        lowered = {name for name, fmt in found.formats.items() if fmt != "fp32"}
        # What stays low is what makes no difference that can be measured.
        assert all(found.sensitivity[name][found.formats[name]] <= budget for name in lowered)
    # Measured again, all together: it is what was said.
    meter = NoiseMeter(prepared.model.weights, prepared.batches)
    assert meter.noise(found.formats) == pytest.approx(found.noise, abs=1e-12)


def test_without_a_budget_it_follows_the_threshold_in_nats(session):
    given = {**AUTO, "noise_budget": None}
    for threshold in (0.05, 0.5):
        found = session.prepare(make_config(**{**given, "threshold": threshold})).assignment
        assert found.budget == pytest.approx(threshold * auto.BUDGET_SHARE)
    other = session.prepare(make_config(**{**given, "metric": "logit-diff"})).assignment
    assert other.budget == auto.USUAL_BUDGET


def test_only_a_few_prompts_are_measured(session):
    assert session.prepare(make_config(**{**AUTO, "examples": 12})).assignment.pairs == 8


def test_loops_are_compiled_before_the_memory_of_a_search_is_counted(monkeypatch):
    """Formats are not known yet, and what is compiled is a library, not part of the search."""
    called = []
    monkeypatch.setattr("pahq.runs.pipeline.works", lambda: called.append("compiled"))
    for name, times in (("fp32", 0), ("pahq-auto", 1), ("pahq-int8", 1)):
        called.clear()
        Session().warm(find_policy(name))
        assert called == ["compiled"] * times


def test_a_check_measures_too(measured):
    session = Session()
    said = session.check(make_config(**AUTO))
    assert measured != []
    assert said["edges"] > 0
    # A last bit of FP32 logits; the budget is for the same prompts.
    assert 0 <= said["noise_floor_kl"] <= 1e-6 + 5e-6


def test_another_policy_writes_neither_file(session):
    changes = {"policy": "pahq-int8", "model": "hand-induction", "noise_budget": None}
    folder = session.start(make_config(**{**AUTO, **changes}))
    assert not (folder.path / "policy.json").exists()
    assert not (folder.path / "sensitivity.json").exists()


@pytest.mark.parametrize("budget", [0, -1.0, math.nan, math.inf, "nan", "much"])
def test_a_budget_that_is_no_amount_of_noise_is_refused(budget):
    with pytest.raises(UsageError, match="noise_budget") as error:
        make_config(**{**AUTO, "noise_budget": budget})
    assert "a number above 0" in error.value.fix


def test_the_bridge_engine_is_refused_before_anything_is_measured(session, measured, home):
    with pytest.raises(PahqError, match=r"bridge engine cannot run(?s:.)*FP32 only"):
        session.start(make_config(**{**AUTO, "engine": "bridge"}))
    assert measured == []
    assert store.list_runs() == []


def test_the_reference_engine_finds_the_same_circuit(session):
    given = {**AUTO, "model": "hand-induction", "threshold": 0.01}
    found = [circuit(session.start(make_config(**given, engine=e))) for e in ("fast", "reference")]
    assert found[0].kept == found[1].kept
