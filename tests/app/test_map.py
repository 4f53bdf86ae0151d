"""The precision map and its four modes, in a real Chromium."""

import json
import re

import pytest
from made_logs import events, sensitivity_record, write_run

from pahq.discovery.events import EdgeTested
from pahq.viz.view import component, ends
from tests.app.driving import facts, scrub

pytestmark = pytest.mark.browser
CELLS = """() => { const [cells] = document.querySelector('[data-part=map]').data;
  return Object.fromEntries(cells.ids.map((id, i) =>
    [id, { letter: cells.text[i], fill: cells.marker.color[i] }])); }"""


@pytest.fixture(scope="module")
def measured(server):
    """A run with sensitivities, and its twin in full precision."""
    write_run(server.home / "runs" / "full", policy="fp32")
    path = write_run(server.home / "runs" / "mixed")
    (path / "sensitivity.json").write_text(json.dumps(sensitivity_record()))
    return server.url + "/?run=mixed"


def press(page, mode: str, **how):
    page.locator(f"[data-map={mode}]").click(**how)


def note(page) -> str:
    return page.locator("[data-part=map-note] p").inner_text()


def line(page) -> str:
    return page.locator("[data-part=map-line]").inner_text()


def cells(page) -> dict:
    page.wait_for_timeout(300)
    return page.evaluate(CELLS)


def point_at(page, name: str):
    place = list(page.evaluate(CELLS)).index(name)
    box = page.locator("[data-part=map] .points path").nth(place).bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + 8)
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.wait_for_selector("[data-part=map-tip]:not([hidden])")
    return page.locator("[data-part=map-tip]").inner_text()


def flips(upto: int = 1519) -> list[EdgeTested]:
    """Decisions of the run that the one in full precision made otherwise."""
    full = {e.edge: e.kept for e in events(policy="fp32") if isinstance(e, EdgeTested)}
    found = [e for e in events() if isinstance(e, EdgeTested) and e.kept != full[e.edge]]
    return [e for e in found if e.i < upto]


def test_sensitivity_colours_by_cost_and_names_the_assigned_bits(measured, open_page):
    page = open_page(measured)
    press(page, "sensitivity")
    page.wait_for_url(re.compile("view=sensitivity"))
    found = cells(page)
    assert (found["input"]["fill"], found["logits"]["fill"]) == ("#fee838", "#00224e")
    assert (found["input"]["letter"], found["logits"]["letter"]) == ("8", "16")
    assert "one component alone in INT8" in note(page)
    scale = page.locator("[data-part=map-note] .obs-scale")
    assert scale.get_attribute("aria-label") == "Colours from 1.0e−8 to 1.0e−5 nats"
    assert line(page) == "noise 4.2e−5 of 0.001 allowed, nats · 50 pairs"
    said = "INT8 costs 1.0e−5 nats, BF16 1.0e−7; assigned BF16"
    assert said in point_at(page, "logits")


def test_flips_are_counted_at_their_receiver_and_named(measured, open_page):
    page = open_page(measured + "&view=flips")
    counts: dict[str, list[EdgeTested]] = {}
    for decision in flips():
        counts.setdefault(component(ends(decision.edge)[1]), []).append(decision)
    letters = {name: cell["letter"] for name, cell in cells(page).items() if cell["letter"]}
    assert letters == {name: str(len(found)) for name, found in counts.items()}
    assert line(page) == f"{len(flips())} of 1,519 verdicts differ"
    name = max(counts, key=lambda n: len(counts[n]))
    said = point_at(page, name)
    assert counts[name][0].edge in said
    assert re.search(r"(kept|cut)( untested)? here, (kept|cut)( untested)? in FP32 \(effect ", said)
    assert f"and {len(counts[name]) - 4} more" in said
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url(re.compile(f"node={name}"))
    section = page.locator("[data-part=details] h5", has_text="Not so in full precision")
    assert section.inner_text().endswith(str(len(counts[name])))


def test_flips_follow_the_replay(measured, open_page):
    page = open_page(measured + "&view=flips")
    scrub(page, 300)
    assert line(page) == f"{len(flips(300))} of 1,519 verdicts differ so far"


def test_the_table_lists_the_flips_and_leads_to_them(measured, open_page):
    page = open_page(measured + "&view=flips")
    page.locator("[data-table=map]").click()
    rows = page.locator("[data-part=map-table] tbody tr")
    assert rows.count() == len(flips())
    assert "(run full)" in page.locator("[data-part=map-table] caption").inner_text()
    number = next(i for i, decision in enumerate(flips()) if not decision.skipped)
    rows.nth(number).locator("[data-edge]").click()
    page.wait_for_selector("[data-part=details] dt:has-text('In full precision')")
    press(page, "sensitivity")
    assert rows.count() == 38
    assert rows.first.inner_text().split("\t") == ["logits", "BF16", "1.0e−5", "1.0e−7"]


def test_a_mode_without_data_says_why_when_it_is_pressed(measured, server, open_page):
    page = open_page(server.url)
    button = page.locator("[data-map=sensitivity]")
    assert button.get_attribute("aria-disabled") == "true"
    assert button.get_attribute("title") == "Measured by runs with the policy pahq-auto."
    press(page, "sensitivity", force=True)  # Playwright takes it for one that cannot be pressed
    assert note(page) == "Sensitivity. Measured by runs with the policy pahq-auto."
    assert "pahq-auto" in page.locator("[data-part=live]").inner_text()
    assert page.locator("[data-map=now]").get_attribute("aria-pressed") == "true"
    page = open_page(server.url + "/?run=full&view=flips")
    assert note(page) == "Flips. This is the full-precision run."
    assert set(cells(page)["m0"]["letter"]) == set("32")


def test_flips_that_were_asked_for_during_a_run_come_at_its_end(measured, server, open_page):
    path = write_run(server.home / "runs" / "goes-on", upto=700)
    page = open_page(server.url + "/?run=goes-on&view=flips")
    assert note(page) == "Flips. Counted when this run has ended."
    write_run(path)
    page.reload()
    page.wait_for_selector("[data-map=flips][aria-pressed=true]")
    assert facts(page)["decided"] == "1519"


def test_the_selection_stays_when_the_mode_changes_and_the_words_follow(measured, open_page):
    page = open_page(measured + "&node=m2")
    picture = page.locator("[data-part=map]")
    labels = []
    for mode in ("now", "ever", "sensitivity", "flips"):
        press(page, mode)
        assert page.locator(f"[data-map={mode}]").get_attribute("aria-pressed") == "true"
        assert "m2" in page.locator("[data-part=details] h4").inner_text()
        labels.append((picture.get_attribute("aria-label"), note(page)))
        assert note(page) == page.locator("[data-part=live]").inner_text()
    assert len(set(labels)) == 4
    assert labels[2][0] == "Cost of INT8 in one component alone"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_can_be_read_on_every_cell(measured, open_page, scheme):
    page = open_page(measured, color_scheme=scheme)
    for mode in ("ever", "sensitivity", "flips"):
        press(page, mode)
        page.wait_for_timeout(300)
        pairs = page.evaluate(
            "() => { const [c] = document.querySelector('[data-part=map]').data;"
            " return c.text.map((t, i) => [c.marker.color[i], c.textfont.color[i]])"
            ".filter((_, i) => c.text[i]); }"
        )
        assert pairs
        for fill, ink in pairs:
            assert contrast(fill, ink) >= 3.5, (mode, fill, ink)


def contrast(a: str, b: str) -> float:
    from pahq.viz.theme import luminance

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_the_saved_picture_says_what_it_shows(measured, open_page):
    page = open_page(measured)
    for mode, file, words in (
        ("now", "precision", b"number format of every component"),
        ("ever", "raised", b"how often components were raised"),
        ("sensitivity", "sensitivity", b"cost of INT8 in one component alone"),
        ("flips", "flips", b"edges that full precision decides otherwise"),
    ):
        press(page, mode)
        page.locator("details.obs-menu:has([data-save='map.svg']) summary").click()
        with page.expect_download() as caught:
            page.locator("[data-save='map.svg']").click()
        assert caught.value.suggested_filename == f"pahq-ioi-tiny-gpt-{file}.svg"
        content = caught.value.path().read_bytes()
        assert words in content
        assert ("■".encode() in content) == (mode != "now")
