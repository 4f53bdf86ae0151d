"""States of a run in a real Chromium: failed at once, stopped, begun from a phone."""

import json
import re

import pytest
from made_logs import events, write_run

from pahq.discovery.events import EdgeTested, RunStopped, to_line
from pahq.runs.config import RunConfig
from tests.app.driving import facts, run, stop, strip

pytestmark = pytest.mark.browser


def fail_at_once(server, name: str):
    """Leave a run that could not begin."""
    path = server.home / "runs" / name
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(RunConfig(model="gpt2", task="ioi", threshold=0.01).as_json())
    error = {"what": "No hub.", "why": "no network", "fix": "go online"}
    line = json.dumps({"type": "run_failed", "t": 0, "error": error})
    (path / "events.jsonl").write_text(line + "\n")


def stopped(server, name: str, upto: int = 400):
    """Leave a run that was stopped, with what its circuit came to."""
    path = write_run(server.home / "runs" / name, upto=upto)
    with (path / "events.jsonl").open("a") as log:
        log.write(to_line(RunStopped(upto), t=3.0))
    summary = {
        "status": "stopped", "edges_decided": upto, "edges_total": 1519, "edges_kept": 1200,
        "damage": 0.1, "damage_nothing_kept": 1.0, "damage_everything_kept": 0.0,
        "wall_s": 3.0, "peak_bytes": 512_000_000,
    }  # fmt: skip
    (path / "summary.json").write_text(json.dumps(summary))


def test_a_run_that_failed_at_once_shows_nothing_of_another(server, open_page):
    fail_at_once(server, "at-once")
    page = open_page(server.url)
    page.goto(f"{server.url}/?run=at-once")
    page.wait_for_selector(".strip[data-kind=failed]")
    page.wait_for_selector(".obs[data-state=nothing]")
    assert "No circuit" in page.locator("[data-part=waiting]").inner_text()
    for part in (".obs-kpis", ".obs-main", ".obs-chart-card"):
        assert not page.locator(part).is_visible()
    assert page.locator(".st-key-do-resume").count() == 0


def test_a_stopped_run_says_what_is_undecided_and_what_its_circuit_does(server, open_page):
    stopped(server, "stopped-early")
    page = open_page(f"{server.url}/?run=stopped-early")
    kept = sum(e.kept for e in events() if isinstance(e, EdgeTested) and e.i < 400)
    tile = page.locator("[data-kpi=kept]").inner_text()
    assert str(kept) in tile
    assert "plus 1,119 undecided" in tile
    assert "90.0%" in page.locator("[data-kpi=recovered]").inner_text()
    assert "512 MB" in page.locator("[data-kpi=memory]").inner_text()
    assert f"{kept} of them kept; the 1,119 undecided" in page.locator(".strip").inner_text()


def test_run_closes_the_drawer_of_a_phone_and_keeps_the_selected_node(server, open_page):
    page = open_page(f"{server.url}/?node=a3.h2", has_touch=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    page.wait_for_selector(".obs[data-drawn]")
    page.locator("[data-testid=stExpandSidebarButton]").click()
    button = page.locator(".st-key-run button")
    button.wait_for(state="visible")
    run(page)
    page.wait_for_function(
        "() => document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().right <= 0"
    )
    page.wait_for_url(re.compile(r"node=a3\.h2"))
    assert "Layer 3 head 2" in page.locator("[data-part=details] h4").inner_text()
    stop(page)


def test_a_run_that_waits_shows_no_figures_of_another(server, open_page):
    page = open_page(server.url)
    other = run(page)
    page.locator(".st-key-run button").click()
    page.wait_for_selector(".strip[data-kind=queued]")
    page.wait_for_selector(".obs[data-state=waiting]")
    assert page.locator(".obs-kpis").inner_text().strip() == ""
    page.locator(".st-key-do-stop button").click()
    page.wait_for_selector(".obs[data-state=nothing]")
    labels = page.locator(".st-key-strip button").all_inner_texts()
    assert any("Run it" in label for label in labels)
    assert strip(page) == "interrupted"
    page.goto(f"{server.url}/?run={other}")
    stop(page)  # or the next test would wait for it


def test_the_graph_fills_its_card_and_details_say_that_they_go_on(server, open_page):
    page = open_page(server.url)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.wait_for_timeout(600)
    card = page.locator(".obs-graph-card").bounding_box()
    below = page.locator(".obs-scrubber").bounding_box()
    assert card["y"] + card["height"] - below["y"] - below["height"] < 4
    more = page.locator("[data-part=more]")
    assert more.is_visible()
    page.locator("[data-part=details]").evaluate("e => e.scrollTo(0, e.scrollHeight)")
    more.wait_for(state="hidden")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(600)
    inside = page.locator("[data-part=details]").evaluate("e => e.scrollHeight - e.clientHeight")
    assert inside <= 1  # on a phone the page scrolls, not the card


def test_the_flags_of_the_track_are_named_below_it(server, open_page):
    page = open_page(server.url)
    names = page.locator(".obs-moments button")
    flags = page.locator(".obs-marks button")
    assert names.count() == flags.count() > 1
    first = names.filter(has_text="First head kept")
    first.click()
    step = first.locator("b").inner_text().replace(",", "")
    page.wait_for_function(f"() => document.querySelector('.obs').dataset.step === '{step}'")
    assert facts(page)["step"] == step


def test_a_toast_leaves_the_key_figures_free(server, open_page):
    page = open_page(server.url)
    page.evaluate("""() => {
      const toast = document.querySelector('.stToastContainer') ?? (() => {
        const made = document.createElement('div');
        made.className = 'stToastContainer';
        made.style.cssText = 'position: fixed; top: 60px; height: 40px; width: 200px';
        document.body.append(made);
        return made;
      })();
      toast.dataset.probe = 'yes';
    }""")
    toast = page.locator("[data-probe=yes]").bounding_box()
    figures = page.locator(".obs-kpis").bounding_box()
    assert toast["y"] > figures["y"] + figures["height"]


def test_the_strip_and_the_picture_say_the_same(server, open_page):
    page = open_page(server.url)
    run(page)
    seen = page.evaluate("""async () => {
      const seen = [];
      for (let i = 0; i < 60; i += 1) {
        const strip = document.querySelector('.strip').innerText.match(/(\\d+%)/)?.[1];
        const tile = document.querySelector('[data-kpi=decided] dd');
        if (tile) seen.push([strip, tile.innerText]);  // none before the worker has begun
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return seen;
    }""")
    stop(page)
    assert len({share for _, share in seen}) > 1
    assert [pair for pair in seen if pair[0] != pair[1]] == []
