"""The app in a real Chromium: everything a person does on page Discover."""

import os
import re
import signal
import time

import psutil
import pytest

from tests.app.driving import (
    RANGE,
    click_node,
    facts,
    run,
    scrub,
    stop,
    strip,
    wait_for_more,
)

pytestmark = pytest.mark.browser


@pytest.mark.timed
def test_run_shows_edges_within_two_seconds_and_they_become_more(server, open_page):
    page = open_page(server.url)
    assert strip(page) == "recording"
    page.wait_for_timeout(1500)  # the worker is warm
    began = time.monotonic()
    run(page)
    assert time.monotonic() - began < 2.0
    first = facts(page)
    wait_for_more(page, int(first["decided"]), 100)
    later = facts(page)
    assert int(later["edges"]) > int(first["edges"])
    assert re.search(r"run=\d{8}-\d{6}-tiny-gpt-ioi", page.url)
    assert "layer" in page.locator(".strip").inner_text()
    stop(page)


def test_pan_and_selection_survive_updates(server, open_page):
    page = open_page(server.url)
    run(page)
    wait_for_more(page, int(facts(page)["decided"]))  # the page is made anew once, as it begins
    click_node(page, "a3.h0")
    page.wait_for_selector("[data-part=details] h4:has-text('Layer 3 head 0')")
    box = page.locator("[data-part=graph]").bounding_box()
    page.evaluate("document.querySelector('[data-part=graph] .main-svg').dataset.mine = '1'")
    page.mouse.move(box["x"] + 100, box["y"] + box["height"] - 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + box["height"] - 60, steps=5)
    page.mouse.up()
    panned = page.evaluate(RANGE)
    assert panned[0] < -0.8
    for _ in range(3):
        wait_for_more(page, int(facts(page)["decided"]))
    assert page.evaluate(RANGE) == pytest.approx(panned)
    assert page.locator("[data-part=graph] .main-svg[data-mine='1']").count() == 1
    assert page.locator("[data-part=details] h4").inner_text().startswith("Layer 3 head 0")
    page.locator("[data-act=reset]").click()
    page.wait_for_function(f"() => ({RANGE})()[0] === -0.75")
    stop(page)


def test_a_click_on_a_head_shows_its_details_and_is_in_the_url(server, open_page):
    page = open_page(server.url)
    click_node(page, "a1.h6")
    page.wait_for_url(re.compile("node=a1.h6"))
    details = page.locator("[data-part=details]")
    assert "In the circuit." in details.inner_text()
    assert details.locator("h5", has_text="Writes to").count() == 1
    details.locator("[data-edge]").first.click()
    page.wait_for_url(re.compile(r"edge=\d+"))
    assert "Threshold τ" in details.inner_text()
    page.locator("[data-part=graph]").focus()
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"^[^?]*(\?(?!.*(edge|node)=).*)?$"))


def test_the_map_and_the_graph_share_one_selection(server, open_page):
    page = open_page(server.url)
    marks = page.locator("[data-part=map] .points path")
    box = marks.nth(9).bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + 8)
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.wait_for_selector("[data-part=map-tip]:not([hidden])")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url(re.compile("node="))
    name = re.search(r"node=([\w.]+)", page.url)[1]
    assert name in page.locator("[data-part=details] h4").inner_text()


def test_paths_show_the_strongest_ways_to_the_logits(server, open_page):
    page = open_page(server.url)
    page.locator("[data-tab=paths]").click()
    first = page.locator(".obs-paths button").first
    assert re.match(r"input → .*logits", first.inner_text())
    first.click()
    page.wait_for_selector(".obs-paths [aria-pressed=true]")
    faint = "[...document.querySelector('[data-part=graph]').data].some(t => t.opacity === 0.09)"
    page.wait_for_function(f"() => {faint}")


def test_a_shared_link_opens_the_same_view(server, open_page):
    page = open_page(server.url + "/?run=made-ioi&node=a1.h6&step=500")
    assert facts(page)["step"] == "500"
    assert "a1.h6" in page.locator("[data-part=details] h4").inner_text()


def test_the_keyboard_walks_over_the_graph(server, open_page):
    page = open_page(server.url)
    page.locator("[data-part=graph]").focus()
    heading = page.locator("[data-part=details] h4")
    said = page.locator("[data-part=live]")
    for key in ("ArrowUp", "ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert page.locator("[data-part=graph-tip]").is_visible()
    assert heading.count() == 0  # walking selects nothing yet
    name = said.inner_text()
    page.keyboard.press("Enter")
    assert heading.inner_text().lower().startswith(name)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+Enter")
    assert page.locator(".obs-chosen button").count() == 2
    page.keyboard.press("g")
    page.wait_for_function("() => /view=l\\d/.test(location.search)")
    page.keyboard.press("Escape")
    assert page.locator(".obs-chosen").count() == 0
    for key in ("ArrowUp",) * 9 + ("e",):  # up to the logits, then through their edges
        page.keyboard.press(key)
    page.wait_for_selector("text=Evaluated with")


def test_scrubbing_to_a_step_shows_the_edges_of_the_log(server, open_page):
    from made_logs import events

    from pahq.viz.layout import Layout
    from pahq.viz.view import view_at

    page = open_page(server.url)
    log = events()
    for step in (0, 1, 250, 700, 1519):
        scrub(page, step)
        view = view_at(log, step)
        assert int(facts(page)["edges"]) == len(view.kept), step
        kpi = page.locator("[data-kpi=kept] dd").inner_text()
        assert kpi == f"{len(view.kept):,}"
    scrub(page, 700)
    view = view_at(log, 700)
    letters = page.evaluate("document.querySelector('[data-part=map]').data[0].text")
    names = [node.name for node in Layout(view.shape).nodes]
    formats = [view.formats.get(name, "fp32") for name in names]
    assert letters == ["32" if f == "fp32" else "8" for f in formats]


def test_replay_plays_to_the_end_and_keys_step(server, open_page):
    page = open_page(server.url)
    slider = page.locator(".obs-track input")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert facts(page)["step"] == "2"
    page.keyboard.press("Shift+ArrowRight")
    assert int(facts(page)["step"]) == 37  # the next receiver: logits has 37 senders
    page.locator("[data-do=speed]").click()  # x64
    page.locator("[data-do=play]").click()
    page.wait_for_function("() => document.querySelector('.obs').dataset.step === '1519'")
    assert page.locator("[data-do=play]").get_attribute("data-playing") == "false"
    page.keyboard.press("Escape")


def test_reload_during_a_run_goes_on_and_stop_keeps_what_was_decided(server, open_page):
    page = open_page(server.url)
    name = run(page)
    page.reload()
    page.wait_for_selector(".obs[data-drawn]")
    assert facts(page)["run"] == name
    wait_for_more(page, int(facts(page)["decided"]))
    stop(page)
    assert "undecided count as kept too" in page.locator(".strip").inner_text()
    assert int(facts(page)["edges"]) > 0
    part = int(facts(page)["decided"])
    page.locator(".st-key-do-resume button").click()
    wait_for_more(page, part, 5)
    page.locator(".st-key-do-pause button").click()
    page.wait_for_selector(".strip[data-kind=paused]")
    page.wait_for_timeout(900)
    held = facts(page)["decided"]
    page.wait_for_timeout(900)
    assert facts(page)["decided"] == held
    page.locator(".st-key-do-continue button").click()
    wait_for_more(page, int(held))
    stop(page)


def test_a_second_run_queues_and_can_be_taken_out_again(server, open_page):
    page = open_page(server.url)
    first = run(page)
    page.locator(".st-key-run button").click()
    page.wait_for_selector(".strip[data-kind=queued]")
    assert "1 run before it" in page.locator(".strip").inner_text()
    page.locator(".st-key-do-stop button").click()
    page.wait_for_selector(".strip[data-kind=interrupted]")
    page.goto(f"{server.url}/?run={first}")
    page.wait_for_selector(".strip[data-kind=running]")
    stop(page)


def test_closing_the_tab_does_not_stop_the_run(server, open_page):
    page = open_page(server.url)
    name = run(page)
    page.close()
    log = server.home / "runs" / name / "events.jsonl"
    size = log.stat().st_size
    time.sleep(1.0)
    assert log.stat().st_size > size
    page = open_page(server.url)  # without the id: the run in work is shown
    assert facts(page)["run"] == name
    stop(page)


def test_a_killed_worker_is_stated_and_its_successor_works(server, open_page):
    page = open_page(server.url)
    run(page)
    children = psutil.Process(server.process.pid).children(recursive=True)
    worker = next(p for p in children if "pahq.runs.worker" in " ".join(p.cmdline()))
    os.kill(worker.pid, signal.SIGKILL)
    page.wait_for_selector(".strip[data-kind=failed]")
    problem = page.locator(".problem-card").inner_text()
    assert "signal 9" in problem
    assert "press Resume" in problem
    part = int(facts(page)["decided"])
    page.locator(".st-key-do-resume button").click()
    wait_for_more(page, part)
    stop(page)


def test_dark_mode_follows_the_system(server, open_page):
    light = open_page(server.url)
    dark = open_page(server.url, color_scheme="dark")
    assert facts(light)["theme"] == "light"
    assert facts(dark)["theme"] == "dark"
    card = "getComputedStyle(document.querySelector('.obs-card')).backgroundColor"
    assert light.evaluate(card) == "rgb(255, 255, 255)"
    assert dark.evaluate(card) == "rgb(20, 26, 33)"


def test_on_a_phone_nothing_is_wider_than_the_screen(server, open_page):
    page = open_page(server.url)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.querySelector('[data-part=graph]').clientWidth < 380")
    page.wait_for_timeout(500)
    wide = page.evaluate("document.querySelector('.stMain').scrollWidth")
    assert wide <= 390
    top = [
        page.locator(f"[data-part={p}]").bounding_box()["y"] for p in ("graph", "map", "details")
    ]
    assert top == sorted(top)


def test_the_picture_can_be_read_by_a_machine(server, open_page):
    page = open_page(server.url)
    graph = page.locator("[data-part=graph]")
    assert graph.get_attribute("role") == "application"
    assert "55 edges kept" in graph.get_attribute("aria-label")
    assert "55 edges kept" in page.locator("[data-part=live]").inner_text()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('.obs button')].filter(b =>"
        " !(b.getAttribute('aria-label') || b.textContent.trim())).length"
    )
    assert unnamed == 0


@pytest.mark.slow
def test_the_real_engine_finds_the_known_circuit(tmp_path_factory, open_page):
    from made_logs import write_run

    from tests.app.conftest import serve

    home = tmp_path_factory.mktemp("real")
    write_run(home / "recordings" / "made-ioi")
    found = serve(home)
    try:
        page = open_page(f"{found.url}/?model=hand-induction&task=induction&tau=0.1&policy=fp32")
        page.wait_for_selector(".preflight[data-kind=good]", timeout=60_000)
        assert "right on 100%" in page.locator(".preflight").inner_text()
        run(page)
        page.wait_for_selector(".strip[data-kind=finished]", timeout=60_000)
        assert "4 of " in page.locator(".strip").inner_text()
        assert page.locator("[data-kpi=recovered] dd").inner_text().endswith("%")
        page.close()  # before its server goes
    finally:
        found.process.terminate()
        found.process.wait(timeout=20)
