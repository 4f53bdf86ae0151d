"""The graph's own controls, in a real Chromium: what is drawn as one, left out, saved, copied."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import product

import pytest
from made_logs import events, write_run

from tests.app.driving import RANGE, click_node, facts, run, scrub, stop

pytestmark = pytest.mark.browser
DRAWN = "() => document.querySelector('[data-part=graph]').data.find(t => t.ids).ids"


def wait_for(page, condition: str):
    page.wait_for_function(f"() => {condition}")


def press(page, name: str):
    page.locator(f"[data-toggle={name}]").click()
    page.wait_for_timeout(900)  # gliding takes 400 ms


def test_compact_shows_the_circuit_alone_and_back(server, open_page):
    from pahq.viz.view import view_at

    page = open_page(server.url)
    assert not page.locator("[data-toggle=loose]").is_visible()  # every node lies on a path
    assert len(page.evaluate(DRAWN)) == 38
    press(page, "compact")
    circuit = view_at(events()).in_circuit
    assert set(page.evaluate(DRAWN)) >= circuit
    assert len(page.evaluate(DRAWN)) < 38
    assert facts(page)["lines"] == facts(page)["edges"]
    page.wait_for_url(re.compile("view=compact"))
    press(page, "compact")
    assert len(page.evaluate(DRAWN)) == 38


def test_compact_waits_for_the_end_of_the_search(server, open_page):
    write_run(server.home / "runs" / "half", upto=400)
    page = open_page(server.url + "/?run=half")
    assert page.locator("[data-toggle=compact]").is_disabled()


def test_with_reduced_motion_nothing_glides(server, open_page):
    page = open_page(server.url, reduced_motion="reduce")
    page.evaluate("""() => {
      const graph = document.querySelector('[data-part=graph]');
      window.frames_ = 0;
      graph.on('plotly_afterplot', () => { window.frames_ += 1; });
    }""")
    page.locator("[data-toggle=compact]").click()
    page.wait_for_timeout(700)
    assert page.evaluate("window.frames_") <= 2


def test_layers_become_one_node_each_and_one_comes_apart_at_its_label(server, open_page):
    page = open_page(server.url)
    press(page, "layers")
    assert page.evaluate(DRAWN) == ["input", "L0", "L1", "L2", "L3", "logits"]
    assert int(facts(page)["lines"]) < 15
    assert "lines" in page.locator("[data-part=budget]").inner_text()
    label = page.locator("[data-part=graph] .ytick text", has_text="L2").bounding_box()
    page.mouse.click(label["x"] + label["width"] / 2, label["y"] + label["height"] / 2)
    wait_for(page, f"({DRAWN})().includes('a2.h0')")
    assert "L3" in page.evaluate(DRAWN)


def test_query_key_and_value_become_one_line_with_all_its_decisions(server, open_page):
    page = open_page(server.url)
    press(page, "merged")
    lines = {(e.sender, e.component) for e in _kept()}
    assert int(facts(page)["lines"]) == len(lines)
    assert "55 of 55 kept" in page.locator("[data-part=budget]").inner_text()


def _kept():
    from types import SimpleNamespace

    from pahq.viz.view import component, ends, view_at

    pairs = [ends(decision.edge) for decision in view_at(events()).kept]
    return [SimpleNamespace(sender=s, component=component(r)) for s, r in pairs]


def test_what_dangles_can_be_hidden_and_is_counted(server, open_page):
    write_run(server.home / "runs" / "loose", seed=10)
    page = open_page(server.url + "/?run=loose")
    button = page.locator("[data-toggle=loose]")
    assert button.inner_text() == f"Hide {len(_dangling(10))} dangling"
    button.click()
    assert re.search(r"hidden: \d+ dangling", page.locator("[data-part=budget]").inner_text())


def _dangling(seed: int) -> set[str]:
    """Nodes that no kept path from the input reaches; ACDC leaves none that does not end."""
    from pahq.viz.view import component, ends, view_at

    pairs = [(s, component(r)) for s, r in (ends(d.edge) for d in view_at(events(seed=seed)).kept)]
    fed = {"input"}
    for _ in pairs:
        fed |= {receiver for sender, receiver in pairs if sender in fed}
    return {sender for sender, _ in pairs} - fed


def test_the_legend_filters_and_the_line_says_so(server, open_page):
    page = open_page(server.url)
    page.locator("[data-hide=q]").click()
    queries = sum(decision.edge.endswith("<q>") for decision in _kept_edges())
    assert f"hidden: {queries} by the legend" in page.locator("[data-part=budget]").inner_text()
    page.locator("[data-act=all]").click()
    assert facts(page)["lines"] == "55"


def _kept_edges():
    from pahq.viz.view import view_at

    return view_at(events()).kept


def test_shift_adds_to_the_selection_and_the_link_keeps_it(server, open_page):
    page = open_page(server.url)
    click_node(page, "a1.h6")
    click_node(page, "a3.h2", adding=True)
    page.wait_for_url(re.compile("node=a1.h6%2Ca3.h2"))
    assert page.locator(".obs-chosen button").all_inner_texts() == ["a1.h6", "a3.h2"]
    again = open_page(page.url)
    assert again.locator(".obs-chosen button").all_inner_texts() == ["a1.h6", "a3.h2"]


def test_a_row_of_the_map_selects_its_layer(server, open_page):
    page = open_page(server.url)
    label = page.locator("[data-part=map] .ytick text", has_text="L1").bounding_box()
    page.mouse.click(label["x"] + 5, label["y"] + 5)
    page.wait_for_selector(".obs-chosen")
    assert page.locator(".obs-chosen button").count() == 9  # eight heads and an MLP


def test_bookmarks_lead_to_their_decisions(server, open_page):
    from pahq.discovery.events import EdgeTested

    page = open_page(server.url)
    decisions = [event for event in events() if isinstance(event, EdgeTested)]
    first = next(e.i for e in decisions if e.kept and e.edge.startswith("a")) + 1
    last = max(e.i for e in decisions if not e.kept and not e.skipped) + 1
    marks = page.locator(".obs-marks button")
    words = [marks.nth(i).get_attribute("aria-label") for i in range(marks.count())]
    assert f"First head kept: decision {first:,}" in words
    assert f"Last removal: decision {last:,}" in words
    assert any(text.startswith("Largest jump of the KL divergence") for text in words)
    page.locator(".obs-marks button[aria-label^='First head']").focus()
    page.keyboard.press("Enter")
    wait_for(page, f"document.querySelector('.obs').dataset.step === '{first}'")


def test_the_pictures_can_be_saved(server, open_page):
    page = open_page(server.url, color_scheme="dark")
    for name, kind in product(("graph", "map"), ("svg", "png")):
        page.locator(f"details.obs-menu:has([data-save='{name}.{kind}']) summary").click()
        with page.expect_download() as caught:
            page.locator(f"[data-save='{name}.{kind}']").click()
        file = caught.value
        assert file.suggested_filename.startswith("pahq-ioi-tiny-gpt-")
        content = file.path().read_bytes()
        if kind == "png":
            assert content.startswith(b"\x89PNG")
            width = int.from_bytes(content[16:20], "big")
            shown = page.locator(f"[data-part={name}]").bounding_box()["width"]
            assert width == pytest.approx(2 * shown, abs=4)
        else:
            assert ElementTree.fromstring(content).tag.endswith("svg")
            assert b"ioi in tiny-gpt" in content


def test_the_link_of_a_view_can_be_copied(server, open_page):
    page = open_page(server.url, permissions=["clipboard-read", "clipboard-write"])
    scrub(page, 700)
    page.locator("[data-colour=sign]").click()
    page.locator("[data-act=link]").click()
    page.wait_for_selector("[data-act=link][data-done=Copied]")
    link = page.evaluate("navigator.clipboard.readText()")
    again = open_page(link)
    assert facts(again)["step"] == "700"
    assert again.locator("[data-colour=sign]").get_attribute("aria-pressed") == "true"


def test_every_picture_can_be_read_as_a_table(server, open_page):
    page = open_page(server.url)
    for name, rows in (("graph", 55), ("map", 38)):
        page.locator(f"[data-table={name}]").click()
        table = page.locator(f"[data-part={name}-table]")
        assert table.locator("tbody tr").count() == rows
        assert not page.locator(f"[data-part={name}] .main-svg").first.is_visible()
    page.locator("[data-table=chart]").click()
    assert page.locator("[data-part=chart-table] tbody tr").count() > 20
    page.locator("[data-part=graph-table] [data-edge]").first.click()
    page.wait_for_url(re.compile(r"edge=\d+"))


def outcome(home, name: str, **settings):
    return write_run(home / "runs" / name, **settings)


def test_nothing_kept_says_which_threshold_to_try_and_runs_it(server, open_page):
    outcome(server.home, "none-kept", threshold=1000.0)
    page = open_page(server.url + "/?run=none-kept")
    card = page.locator("[data-part=outcome]")
    assert "No edge survived" in card.inner_text()
    assert "the largest effect was" in card.inner_text()
    value = float(card.locator("button").get_attribute("data-threshold"))
    card.locator("button").click()
    page.wait_for_url(re.compile(r"run=\d{8}-"))
    # The strip of the run shown before stays until the new one's first look.
    wait_for(page, f"document.querySelector('.strip').innerText.includes('τ {value:g}')")
    wait_for(page, "Number(document.querySelector('.obs').dataset.decided) > 0")
    wait_for(page, f"document.querySelector('.st-key-tau input').value === '{value:g}'")
    page.locator(".st-key-do-stop button").click()
    page.wait_for_selector(".strip[data-kind=stopped]")


def in_module(page, file: str, code: str):
    """Return what ``code`` gives, with one of the component's modules as ``it``."""
    source = f"{page.url.split('?')[0]}_stcore/bidi-components/pahq.observatory/{file}"
    return page.evaluate(f"async () => {{ const it = await import('{source}'); {code} }}")


def test_proposed_thresholds_are_round_and_change_the_outcome(server, open_page):
    page = open_page(server.url)
    found = in_module(
        page, "outcome.js",
        """const ask = (kept, least, most) => it.advice({ over: true,
             view: { step: 5, kept: Array(kept).fill(0) },
             log: { decided: 5, header: { edges: 5, unit: "nats" }, effects: { least, most } } });
           return [ask(0, 0.001, 0.0041), ask(0, 0.1, 0.3), ask(5, 0.0031, 1), ask(2, 0, 1),
             ask(0, 0.5, -0.5)].map((one) => one && one.threshold);""",
    )  # fmt: skip
    assert found == [0.003, 0.3, 0.005, None, None]


def test_slow_drawing_asks_for_longer_intervals_and_quick_drawing_for_shorter(server, open_page):
    page = open_page(server.url)
    told = in_module(
        page, "pace.js",
        """const told = []; const pace = new it.Pace((level) => told.push(level));
           const note = (ms, times) => { for (let i = 0; i < times; i += 1) pace.note(ms, true); };
           note(40, 9); note(900, 1); note(40, 9); note(200, 9); note(900, 9); note(150, 5);
           note(20, 9); return told;""",
    )  # fmt: skip
    assert told == [1, 2, 1, 0]


def test_a_large_model_can_be_looked_at(server, open_page):
    from made_logs import SMALL

    write_run(server.home / "runs" / "large", shape=SMALL)
    page = open_page(server.url + "/?run=large")
    assert int(facts(page)["edges"]) > 500
    for name in ("compact", "layers"):
        press(page, name)
    assert int(facts(page)["lines"]) <= 14 * 13 // 2
    press(page, "layers")
    scrub(page, 20_000)
    assert page.evaluate(RANGE)[1] > 5


def test_a_browser_that_cannot_keep_up_is_sent_less_and_says_so(server, open_page):
    page = open_page(server.url)
    page.evaluate("""() => {
      const { react } = window.Plotly;
      window.Plotly.react = async (...all) => {
        await new Promise((done) => { setTimeout(done, 250); });
        return react(...all);
      };
    }""")
    run(page)
    page.wait_for_selector("[data-part=budget]:has-text('drawn every 2.8 s')")
    stop(page)
