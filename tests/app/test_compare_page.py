"""Page Compare without a browser: what is set side by side and what is asked of the worker."""

import json

import pytest
from made_pairs import write_finished
from streamlit.testing.v1 import AppTest

import columns
import comparing
from columns import Row
from pahq.discovery.events import RunFailed, to_line
from pahq.runs import store
from pahq.runs.config import RunConfig
from tests.app.conftest import ROOT
from tests.app.reading import all_text, walk

MAIN = str(ROOT / "app/main.py")
FULL, UNIFORM, PAHQ = "20261101-100000-full", "20261102-100000-rtn", "20261103-100000-pahq"


@pytest.fixture
def page(home, fake):
    return AppTest.from_file(MAIN, default_timeout=20)


@pytest.fixture
def runs(home):
    """Three finished runs of the same settings, the reference first."""
    policies = {FULL: "fp32", UNIFORM: "rtn-int8", PAHQ: "pahq-int8"}
    return [write_finished(home / "runs" / name, policy) for name, policy in policies.items()]


def compare(page, **query):
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    page.switch_page("views/compare.py").run()
    assert not page.exception
    return page


def picture(page, kind) -> dict | None:
    found = [json.loads(e.proto.json) for e in walk(page.main) if _is_picture(e)]
    return next((data for data in found if data["kind"] == kind), None)


def _is_picture(element) -> bool:
    proto = getattr(element, "proto", None)
    return getattr(proto, "component_name", "") == "pahq.comparison"


def policies() -> list[str]:
    return [run.config.policy for run in store.list_runs()]


def test_before_any_run_the_page_says_what_to_do_and_does_it(page, fake):
    compare(page)
    assert "Nothing to compare yet" in all_text(page)
    assert "ioi · tiny-gpt · τ 0.01" in all_text(page)
    page.button("run-missing").click().run()
    assert sorted(policies()) == ["fp32", "pahq-int8", "rtn-int8"]
    assert [what for what, _ in fake.asked] == ["run"] * 3
    assert [name.split("-")[5] for _, name in fake.asked] == ["fp32", "rtn", "pahq"]
    assert "The first result appears here" in all_text(page)
    assert "Uniform INT8" in all_text(page)  # in the queue


def test_the_latest_full_precision_run_is_the_reference_and_its_twins_beside_it(page, runs):
    compare(page)
    assert page.session_state["pick_a"] == FULL
    assert page.session_state["pick_with"] == [UNIFORM, PAHQ]
    said = all_text(page)
    kept = comparing.finished(runs[:1])[0].summary["edges_kept"]
    assert f"<b>PAHQ INT8</b> keeps {kept} of Full precision" in said
    assert "4×" in said  # the uniform run took 2 s, the reference 8
    assert "2×" in said
    assert [run["title"] for run in picture(page, "multiples")["runs"]] == [
        "Full precision", "Uniform INT8", "PAHQ INT8"
    ]  # fmt: skip


def test_the_difference_is_that_of_pahq_until_another_is_chosen(page, runs):
    compare(page)
    assert picture(page, "difference")["other"] == PAHQ
    assert picture(page, "difference")["flips"] == []
    page.get_by_key("pick_b").set_value(UNIFORM).run()
    shown = picture(page, "difference")
    assert shown["other"] == UNIFORM
    assert page.query_params["b"] == UNIFORM
    assert len(shown["flips"]) == shown["flipped"] > 0
    assert shown["counts"]["reference"] + shown["counts"]["other"] == shown["flipped"]
    distances = [flip["distance"] for flip in shown["flips"]]
    assert distances == sorted(distances)


def test_only_what_is_missing_is_run_with_the_settings_of_the_reference(page, home, fake):
    write_finished(home / "runs" / FULL, "fp32", seed=3, threads=1)
    compare(page)
    assert "Nothing is compared with A yet" in all_text(page)
    page.button("run-missing").click().run()
    asked = [store.find_run(name).config for _, name in fake.asked]
    assert [config.policy for config in asked] == ["rtn-int8", "pahq-int8"]
    assert {(config.seed, config.threads, config.batch_size) for config in asked} == {(3, 1, None)}
    assert page.button("run-missing").disabled  # both are on their way
    assert "appear here as soon as they are finished" in all_text(page)


def test_a_run_with_other_settings_is_no_twin_but_can_be_chosen(page, home, runs):
    write_finished(home / "runs" / "20261104-100000-other", "rtn-int8", threshold=0.02, seed=1)
    compare(page)
    assert page.session_state["pick_with"] == [UNIFORM, PAHQ]
    page.multiselect("pick_with").select("20261104-100000-other").run()
    assert page.query_params["with"] == f"{UNIFORM},{PAHQ},20261104-100000-other"
    assert "has other settings than A: threshold 0.02 instead of 0.01 and seed 1" in all_text(page)
    assert len(picture(page, "multiples")["runs"]) == 4


def test_another_reference_brings_its_own_twins(page, home, runs):
    write_finished(home / "runs" / "20261104-100000-full", "fp32", threshold=0.05)
    write_finished(home / "runs" / "20261105-100000-pahq", "pahq-int8", threshold=0.05)
    compare(page, a=FULL)
    assert page.session_state["pick_with"] == [UNIFORM, PAHQ]
    page.selectbox("pick_a").select("20261104-100000-full").run()
    assert page.session_state["pick_with"] == ["20261105-100000-pahq"]
    assert page.query_params["a"] == "20261104-100000-full"


@pytest.mark.parametrize("name", ["../../etc", "no-such-run", "<b>", ""])
def test_strange_ids_in_the_url_are_ignored(page, runs, name):
    compare(page, a=name, b=name, **{"with": name})
    assert page.session_state["pick_a"] == FULL
    assert len(picture(page, "multiples")["runs"]) == 3


def test_a_damaged_run_is_passed_over_or_explained(page, home, runs):
    (home / "runs" / UNIFORM / "circuit.json").write_text("{}")
    (home / "runs" / PAHQ / "summary.json").write_text("[]")
    compare(page)
    assert "cannot be read as a circuit" in all_text(page)
    assert [run["title"] for run in picture(page, "multiples")["runs"]] == ["Full precision"]


def test_a_run_that_failed_says_why_and_can_be_dismissed(page, home, fake):
    compare(page)
    page.button("run-missing").click().run()
    name = fake.asked[0][1]
    error = {"what": "Out of memory.", "why": "it is full", "fix": "free some"}
    (home / "runs" / name / "events.jsonl").write_text(to_line(RunFailed(error), t=0.0))
    fake.jobs[name].phase = "failed"
    page.run()
    assert "Out of memory." in all_text(page)
    page.button(f"dismiss-{name}").click().run()
    assert "Out of memory." not in all_text(page)


def test_a_queued_run_can_be_stopped(page, fake):
    compare(page)
    page.button("run-missing").click().run()
    name = fake.asked[-1][1]
    page.button(f"stop-{name}").click().run()
    assert fake.asked[-1] == ("stop", name)


def test_settings_of_discover_that_differ_can_be_compared_instead(page, runs, fake):
    compare(page, a=FULL, tau="0.05")
    page.button("run-others").click().run()
    asked = [store.find_run(name).config for _, name in fake.asked]
    assert [(config.policy, config.threshold) for config in asked] == [
        ("fp32", 0.05), ("rtn-int8", 0.05), ("pahq-int8", 0.05)
    ]  # fmt: skip
    assert "a" not in page.query_params  # the first of them to finish is the reference
    assert not [button for button in page.button if button.key == "run-others"]


# Facts ------------------------------------------------------------------------------------------


def test_a_config_that_has_not_begun_is_the_same_question():
    begun = RunConfig(model="tiny-gpt", task="ioi", threshold=0.01, examples=50, model_hash="x")
    waiting = RunConfig(model="tiny-gpt", task="ioi", threshold=0.01, policy="pahq-int8")
    assert comparing.same_question(begun, waiting)
    assert not comparing.same_question(begun, waiting.model_copy(update={"seed": 1}))
    assert comparing.missing(begun, [begun, waiting]) == ("rtn-int8",)
    assert comparing.missing(begun, [begun], device="cuda") == ("rtn-fp8", "pahq-fp8")


def test_times_of_different_computers_are_not_compared(runs):
    full, uniform = comparing.finished(runs[:2])
    assert not comparing.elsewhere(full, uniform)
    runs[1].write_json("environment.json", {"processor": "another"})
    assert comparing.elsewhere(full, uniform)
    comparison = comparing.compared(full.run, uniform.run)
    texts = {
        column.title: column.text(Row(uniform, comparison, elsewhere=True))
        for column in columns.measures([Row(full)])
    }
    assert texts["Speed-up"] == "–"
    assert "another computer" in comparing.notice(full, uniform)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0"), (2e-5, "2.0e−5"), (0.05564, "0.0556"), (-1.5, "−1.5"),
     (12345.0, "12,345")],
)  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert columns.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (1.0, "100%"), (0.99999, "99.9%"), (0.9634, "96.3%")]
)
def test_only_a_whole_is_a_hundred_percent(value, text):
    assert columns.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.386, "1.39 s"), (45.21, "45.2 s"), (150, "2.5 min"), (9000, "2.50 h")]
)
def test_times_keep_the_digits_that_runs_differ_in(value, text):
    assert columns.seconds(value) == text
