"""The page without a browser: what it shows and what it asks of the worker."""

import json
import subprocess
import sys
import time

import pytest
from made_logs import write_run
from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx
from streamlit.testing.v1 import AppTest

import choices
import state
from pahq.paths import runs_dir
from pahq.runs import store
from pahq.runs.config import RunConfig, knobs
from pahq.runs.state import State
from tests.app.conftest import ROOT
from tests.app.reading import MAIN, all_text, only_run, picture, set_up, text


def test_a_recording_is_on_screen_before_anything_is_computed(page, fake):
    page.run()
    assert not page.exception
    assert "This is a recording." in text(page)
    assert "Press Run to compute it yourself." in text(page)
    sent = picture(page)
    assert sent["run"] == "made-ioi"
    assert sent["header"]["edges"] == 1519
    assert fake.asked == []


def test_a_recording_can_be_computed_with_its_own_settings(page, fake, home):
    config = RunConfig(
        model="hand-induction", task="induction", threshold=0.3, policy="rtn-int8", threads=7
    )
    (home / "recordings" / "made-ioi" / "config.json").write_text(config.as_json())
    page.run()
    page.button("do-compute").click().run()
    again = only_run(page).config
    assert (again.model, again.task, again.threshold) == ("hand-induction", "induction", 0.3)
    assert again.policy == "rtn-int8"
    assert again.threads is None  # that was the other machine's


@pytest.mark.parametrize(("recorded", "asked"), [(50, None), (20, 20)])
def test_a_file_is_not_cut_to_the_usual_number_of_a_recording(
    page, home, recorded, asked, tmp_path
):
    config = RunConfig(model="tiny-gpt", task="ioi", threshold=0.3, examples=recorded)
    (home / "recordings" / "made-ioi" / "config.json").write_text(config.as_json())
    (tmp_path / "mine.json").write_text(
        '{"prompts": [{"clean": [1, 2], "corrupt": [2, 2], "answers": [3]}]}'
    )
    page.run()
    set_up(page, task=choices.FILE, task_path=str(tmp_path / "mine.json"))
    page.button("run").click().run()
    assert only_run(page).config.examples == asked


def test_without_any_recording_the_page_says_what_to_do(page, home, fake, monkeypatch):
    monkeypatch.setattr("state.recordings", list)
    page.run()
    assert "press Run" in text(page)
    assert not page.exception
    next(b for b in page.main.button if b.label == "Find a circuit").click().run()
    assert fake.asked == [("run", only_run(page).id)]


def test_an_earlier_run_says_how_many_edges_a_threshold_would_keep(page):
    page.run()
    assert "About 55 of 1,519 edges would stay" in all_text(page)
    assert "estimate from a recording at τ 0.01" in all_text(page)
    page.text_input("tau").set_value("1").run()
    assert "About 0 of" in all_text(page)


def test_run_makes_a_folder_with_the_settings_and_hands_it_to_the_worker(page, fake):
    page.run()
    page.button("run").click().run()
    run = only_run(page)
    assert fake.asked == [("run", run.id)]
    config = run.config
    assert (config.model, config.task, config.threshold) == ("tiny-gpt", "ioi", 0.01)
    assert config.policy == "pahq-int8"
    assert page.query_params["run"] == run.id


def test_every_knob_of_a_run_can_be_set(page):
    page.run()
    page.number_input("knob_examples").set_value(7)
    page.selectbox("knob_metric").set_value("nll")
    page.toggle("knob_absolute").set_value(True)
    page.number_input("knob_threads").set_value(2)
    page.run()
    page.button("run").click().run()
    config = only_run(page).config
    assert (config.examples, config.metric, config.absolute, config.threads) == (7, "nll", True, 2)


def test_the_form_has_a_control_for_each_knob(page):
    page.run()
    own = {"model": "model", "task": "task", "policy": "policy", "threshold": "tau"}
    for name in knobs():
        assert page.get_by_key(own.get(name, f"knob_{name}")), name


def test_slider_and_box_are_bound_to_each_other(page):
    page.run()
    page.select_slider("tau_slider").set_value(0.05).run()
    assert page.text_input("tau").value == "0.05"
    page.text_input("tau").set_value("0.0021").run()
    assert page.select_slider("tau_slider").value == 0.002
    page.button("run").click().run()
    assert only_run(page).config.threshold == 0.0021


def test_the_policy_switch_offers_the_three_of_the_paper_and_the_rest(page):
    page.run()
    switch = page.segmented_control("policy")
    assert switch.options == ["Full", "Uniform", "PAHQ", "More"]
    switch.set_value("more").run()
    page.selectbox("policy_more").set_value("bf16").run()
    page.button("run").click().run()
    assert only_run(page).config.policy == "bf16"


def test_on_a_gpu_the_switch_offers_fp8(page):
    page.run()
    page.selectbox("knob_device").set_value("cuda").run()
    page.segmented_control("policy").set_value("pahq-fp8").run()
    page.button("run").click().run()
    assert only_run(page).config.policy == "pahq-fp8"


def test_a_model_that_must_be_downloaded_says_so_plainly(page):
    page.run()
    page.selectbox("model").set_value("gpt2").run()
    assert "needs download" in page.sidebar.caption[0].value
    assert "498 MB" in page.sidebar.info[0].value
    assert "work offline" in page.sidebar.info[0].value


def running(page, fake, upto=400):
    page.run()
    page.button("run").click().run()
    run = only_run(page)
    write_run(run.path, upto=upto)
    return run


def test_a_run_in_work_can_be_paused_stopped_and_resumed(page, fake):
    run = running(page, fake)
    page.run()
    assert "Running" in text(page)
    assert picture(page)["status"]["live"] is True
    page.button("do-pause").click().run()
    assert "Paused" in text(page)
    page.button("do-step").click().run()
    assert "Running" in text(page)
    fake.jobs[run.id].phase = "paused"  # the worker says so at the next node
    page.run()
    page.button("do-continue").click().run()
    page.button("do-stop").click().run()
    assert "Stopping" in text(page)
    fake.jobs[run.id].phase = "done"
    with (run.path / "events.jsonl").open("a") as log:
        log.write('{"type":"run_stopped","t":3,"decided":400}\n')
    page.run()
    assert "Stopped" in text(page)
    assert "400 of 1,519 edges decided, " in text(page)
    assert "the 1,119 undecided count as kept too." in text(page)
    page.button("do-resume").click().run()
    asked = [what for what, _ in fake.asked]
    assert asked == ["run", "pause", "step", "go_on", "stop", "run"]


def test_a_worker_that_does_not_respond_can_be_restarted(page, fake):
    run = running(page, fake)
    state = State(1, time.time() - 60, "searching")  # a live process, long silent
    run.write_json("state.json", vars(state))
    page.run()
    assert "Not responding" in text(page)
    page.button("do-restart").click().run()
    assert fake.asked[-1] == ("restart", run.id)


def test_only_new_rows_are_sent_after_the_first_time(page, fake):
    run = running(page, fake, upto=100)
    for _ in range(4):
        page.run()
    first = picture(page)["from"]
    write_run(run.path, upto=140)
    page.run()
    sent = picture(page)
    assert first > 100
    assert sent["from"] == first
    assert 0 < len(sent["rows"]) < 60
    assert sent["header"] is None


def test_a_failed_run_says_what_why_and_how_to_fix_it(page, fake):
    run = running(page, fake)
    fake.jobs[run.id].phase = "failed"
    error = {"what": "Memory ran out.", "why": "Too many prompts", "fix": "Take fewer"}
    with (run.path / "events.jsonl").open("a") as log:
        log.write(json.dumps({"type": "run_failed", "t": 3, "error": error}) + "\n")
    page.run()
    shown = text(page)
    assert all(part in shown for part in ("Failed", *error.values()))
    assert page.button("do-resume")


def test_a_run_that_failed_before_its_first_decision_shows_its_reason_alone(page, fake):
    page.run()
    page.button("run").click().run()
    run = only_run(page)
    fake.jobs[run.id].phase = "failed"
    error = {"what": "No hub.", "why": "no network", "fix": "go online"}
    line = json.dumps({"type": "run_failed", "t": 0, "error": error}) + "\n"
    (run.path / "events.jsonl").write_text(line)
    page.run()
    assert all(part in text(page) for part in ("No hub.", "No network", "Go online"))
    assert "before the first decision" in text(page)
    sent = picture(page)
    assert (sent["run"], sent["header"], sent["rows"]) == (run.id, None, [])
    labels = [button.label for button in page.main.button]
    assert labels == ["Try again", "Dismiss"]  # there is nothing to resume
    page.button("do-again").click().run()
    assert [what for what, _ in fake.asked] == ["run", "run"]


def test_run_keeps_selected_nodes_of_the_same_model(page):
    page.query_params["node"] = "a1.h3"
    page.query_params["edge"] = "7"
    page.run()
    page.button("run").click().run()
    assert picture(page)["initial"] == {"node": "a1.h3"}
    set_up(page, model="hand-induction", task="induction")
    page.button("run").click().run()
    assert picture(page)["initial"] == {}


def test_an_error_stays_until_it_is_dismissed(page, fake):
    run = running(page, fake)
    fake.jobs[run.id].phase = "failed"
    with (run.path / "events.jsonl").open("a") as log:
        log.write('{"type":"run_failed","t":3,"error":{"what":"a","why":"boom","fix":"c"}}\n')
    page.run().run()
    assert "Boom" in text(page)
    page.button("do-dismiss").click().run()
    assert "Boom" not in text(page)
    assert "Failed" in text(page)
    assert page.button("do-resume")


def test_a_failed_run_shows_the_workers_last_words(page, fake, tmp_path):
    fake.log = tmp_path / "worker.log"
    fake.log.write_text("\n".join(f"line {i}" for i in range(100)))
    run = running(page, fake)
    fake.jobs[run.id].phase = "failed"
    with (run.path / "events.jsonl").open("a") as log:
        log.write('{"type":"run_failed","t":3,"error":{"what":"a","why":"b","fix":"c"}}\n')
    page.run()
    shown = next(box for box in page.main.expander if box.label == "Show log")
    assert "line 99" in shown.code[0].value
    assert "line 10\n" not in shown.code[0].value


def test_reload_attaches_to_the_run_of_the_url_with_its_settings(home, fake):
    config = RunConfig(model="hand-induction", task="induction", threshold=0.3, policy="bf16")
    run = store.create(config)
    write_run(run.path, upto=50)
    (run.path / "config.json").write_text(config.as_json())
    page = AppTest.from_file(MAIN, default_timeout=20)
    page.query_params["run"] = run.id
    page.query_params["node"] = "a1.h3"
    page.query_params["step"] = "20"
    page.run()
    assert picture(page)["run"] == run.id
    assert picture(page)["initial"] == {"node": "a1.h3", "step": 20}
    assert page.selectbox("model").value == "hand-induction"
    assert page.text_input("tau").value == "0.3"
    assert page.selectbox("policy_more").value == "bf16"
    assert "Interrupted" in text(page)


@pytest.mark.parametrize(
    "query",
    [
        {"run": "../../etc"}, {"run": "/etc"}, {"run": "no-such-run"}, {"node": "<script>"},
        {"step": "-3", "edge": "x"}, {"model": "../x", "task": "y", "policy": "z", "tau": "-1"},
    ],
)  # fmt: skip
def test_bad_values_in_the_url_are_ignored(page, query):
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert picture(page)["run"] == "made-ioi"
    assert picture(page)["initial"] == {}
    assert page.selectbox("model").value == "tiny-gpt"


def test_a_damaged_run_is_explained_not_a_traceback(page):
    path = runs_dir() / "broken"
    path.mkdir(parents=True)
    (path / "config.json").write_text("{")
    page.query_params["run"] = "broken"
    page.run()
    assert not page.exception
    assert "is not JSON" in text(page)


def test_the_app_never_imports_torch():
    code = (
        "import sys; sys.path.insert(0, 'app');"
        "import state, choices, live, status, components.settings, components.observatory,"
        "components.preflight, components.strip, components.task_card;"
        "choices.model_facts('gpt2');"
        "print([m for m in ('torch', 'transformers', 'transformer_lens') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_press_on_another_pages_link_outlives_a_new_drawing_of_this_one(page, monkeypatch):
    """The press comes while a fragment is about to have the page drawn anew."""
    noticed, pressed = state.turned, []

    def turned(what, now):
        if pressed:
            return noticed(what, now)
        context = get_script_run_ctx()
        links = context.pages_manager.get_pages().values()
        pressed.append(next(p["page_script_hash"] for p in links if p["page_name"] == "Compare"))
        context.script_requests.request_rerun(RerunData(page_script_hash=pressed[0]))
        return True

    page.run()
    monkeypatch.setattr(state, "turned", turned)
    page.run()
    assert "Nothing to compare yet" in all_text(page)
