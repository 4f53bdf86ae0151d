"""The form of page Discover: what it says before a run, and when Run waits."""

import pytest

from pahq.runs.client import Job
from tests.app.reading import all_text, only_run, set_up

REFUSAL = {"what": "No such tensor.", "why": "the file lacks 'h.0'", "fix": "copy it"}


@pytest.mark.parametrize("bad", ["0", "-1", "nan", "inf", "much"])
def test_a_threshold_that_decides_nothing_is_refused_at_its_box(page, bad):
    page.run()
    page.text_input("tau").set_value(bad).run()
    assert f"The threshold &#x27;{bad}&#x27; is not a positive number. Give" in all_text(page)
    assert page.button("run").disabled
    assert "Run waits for a threshold." in all_text(page)
    assert not page.exception


def test_what_the_model_can_do_is_said_whatever_stands_in_the_box(page):
    page.run()
    page.text_input("tau").set_value("much").run()
    assert "right on 99% of 50 prompts" in all_text(page)


def test_a_recording_is_not_computed_with_settings_that_are_refused(page):
    page.run()
    assert not page.button("do-compute").disabled
    page.text_input("tau").set_value("much").run()
    assert page.button("do-compute").disabled


def test_run_waits_while_the_check_refuses_and_all_three_parts_are_said(page, fake):
    fake.refusal = REFUSAL
    page.run()
    shown = all_text(page)
    assert all(part in shown for part in ("No such tensor.", "The file lacks", "Copy it"))
    assert shown.count("No such tensor.") == 1
    assert page.button("run").disabled
    fake.refusal = None
    page.button("again").click().run()
    assert not page.button("run").disabled
    assert "right on 99%" in all_text(page)


def test_a_refusal_that_comes_while_the_page_is_drawn_stops_run_too(page, fake, monkeypatch):
    job = Job(2, {"do": "check"}, "running")
    monkeypatch.setattr(fake, "check", lambda config: job)

    def refused():  # asked for after Run was drawn
        job.phase, job.error = "failed", REFUSAL

    monkeypatch.setattr("state.refused", refused)
    page.run()
    assert page.button("run").disabled
    assert all_text(page).count("No such tensor.") == 1


def test_a_worker_that_died_over_a_check_is_no_reason_not_to_run(page, fake):
    fake.refusal, fake.died = REFUSAL, True
    page.run()
    assert "No such tensor." in all_text(page)
    assert not page.button("run").disabled


def test_run_waits_for_a_task_that_the_model_has_words_for(page, fake):
    set_up(page, model="attn-2l", task="ioi")
    shown = all_text(page)
    assert "What to do" in shown
    assert "that are one token it needs" in shown
    assert page.button("run").disabled
    set_up(page, task="induction")
    assert not page.button("run").disabled


def test_tasks_that_a_model_was_not_made_for_are_marked(page):
    set_up(page, model="attn-2l", task="induction")
    assert "Indirect object identification ✕" in page.selectbox("task").options
    assert any("✕ not for attn-2l" in caption.value for caption in page.sidebar.caption)
    set_up(page, model="tiny-gpt")
    assert "Indirect object identification" in page.selectbox("task").options


def test_a_circuit_known_of_another_model_is_said_to_be_that(page):
    set_up(page, model="tiny-gpt", task="ioi")
    assert "<b>Known of GPT-2 small</b>, another model: 26 heads" in all_text(page)
    set_up(page, model="gpt2")
    assert "<b>Known circuit</b> 26 heads" in all_text(page)
    set_up(page, model="tiny-gpt", task="induction")
    assert "<b>Known circuit</b> A previous-token head" in all_text(page)


def test_the_space_before_a_marked_word_is_outside_the_mark(page):
    page.run()
    assert "Then, <mark>" in all_text(page)
    assert "<mark> " not in all_text(page)


def test_an_own_directory_can_be_named(page, tmp_path, fake):
    page.run()
    page.selectbox("model").set_value("directory").run()
    assert page.button("run").disabled
    page.text_input("model_path").set_value(str(tmp_path)).run()
    page.button("run").click().run()
    assert only_run(page).config.model == str(tmp_path)


def test_a_model_that_fails_the_task_gets_a_warning_before_the_search(page, fake):
    fake.answer = {"task_score": 0.12, "examples": 50, "warning": "It hardly does the task."}
    set_up(page, model="hand-induction", task="induction")
    assert "It hardly does the task." in all_text(page)
    assert "right on 12% of 50 prompts" in all_text(page)


def test_the_check_is_asked_once_for_the_same_settings(page, fake):
    set_up(page, model="hand-induction", task="induction")
    page.run()
    page.text_input("tau").set_value("0.5").run()  # changes nothing that is checked
    assert len(fake.checked) == 1
    page.number_input("knob_examples").set_value(9).run()
    assert len(fake.checked) == 2


def test_a_worker_that_cannot_start_is_said(page, fake):
    fake.problem = {"what": "No worker.", "why": "because", "fix": "repair it"}
    page.run()
    assert all(part in all_text(page) for part in ("No worker.", "Because", "Repair it"))
