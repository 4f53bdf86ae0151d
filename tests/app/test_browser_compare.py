"""Page Compare in a real Chromium: running what is missing, finding what differs."""

import re

import pytest
from made_pairs import write_finished

from tests.app.conftest import serve

pytestmark = pytest.mark.browser

POLICIES = ("fp32", "rtn-int8", "pahq-int8")
SESSION = {"PAHQ_SESSION": "made_results:ResultSession", "PAHQ_MADE_PACE": "0.001"}
RANGES = """() => [...document.querySelectorAll('[data-part=circuit], [data-part=graph]')]
  .map(gd => gd._fullLayout.xaxis.range.map(x => x.toFixed(3)).join())"""
LIT = """() => [...document.querySelectorAll('[data-part=circuit], [data-part=graph]')]
  .map(gd => gd.data.at(-1)).map(t => t.mode === 'lines' ? t.line.dash ?? 'solid' : null)"""
TESTED = """() => [...document.querySelectorAll('[data-part=map]')]
  .map(gd => [gd.data.at(-1).x[0], gd.data.at(-1).y[0]].join())"""
OVERFLOW = """() => ['html', '.stMain'].map(q => document.querySelector(q))
  .map(e => e.scrollWidth - e.clientWidth)"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    found = serve(tmp_path_factory.mktemp("bare"), **SESSION)
    yield found
    found.process.terminate()
    found.process.wait(timeout=20)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    home = tmp_path_factory.mktemp("filled")
    for day, policy in enumerate(POLICIES, start=1):
        write_finished(home / "runs" / f"2026110{day}-100000-{policy}", policy)
    found = serve(home, **SESSION)
    yield found
    found.process.terminate()
    found.process.wait(timeout=20)


@pytest.fixture
def open_compare(open_page):
    """Open the page from Discover, as a reader does."""

    def open_(url: str, **context):
        page = open_page(url, **context)
        page.locator("[data-testid=stTopNavLink]", has_text="Compare").click()
        return page

    return open_


def drawn(page):
    page.wait_for_selector(".cmp[data-drawn] [data-part=graph] .main-svg")
    assert page.locator("[data-testid=stException]").count() == 0
    return page


def uniform(page):
    """Choose the run that differs from the reference."""
    drawn(page).locator(".st-key-pick_b button", has_text="Uniform").click()
    page.wait_for_selector("[data-edge]")
    return page


def test_three_runs_are_queued_and_the_page_fills_as_they_finish(bare, open_compare):
    page = open_compare(bare.url)
    page.locator(".st-key-run-missing button").click()
    page.wait_for_selector(".st-key-queue .strip >> nth=1")
    assert "tiny-gpt" in page.locator(".st-key-queue").inner_text()
    rows = page.locator(".compare-table tbody tr")
    page.wait_for_function("() => document.querySelectorAll('.compare-table tbody tr').length > 0")
    assert "Full precision" in rows.first.inner_text()
    page.wait_for_selector(".cmp-card[data-run] >> nth=2")
    drawn(page)
    assert rows.count() == 3
    assert page.locator(".cmp-card[data-run] h3").all_inner_texts() == [
        "Full precision", "Uniform INT8", "PAHQ INT8"
    ]  # fmt: skip
    page.wait_for_selector(".st-key-queue", state="detached")
    assert page.locator(".compare-says p").count() == 2
    assert page.locator(".st-key-run-missing button").first.is_disabled()


def test_a_flip_is_found_in_every_graph_and_let_go_again(filled, open_compare):
    page = uniform(open_compare(filled.url))
    count = int(page.locator(".compare-table tbody tr").nth(1).locator("td").last.inner_text())
    assert page.locator("[data-edge]").count() == count
    edge = page.locator("[data-edge]").first
    edge.click()
    page.wait_for_function(f"() => ({LIT})().every(Boolean)")
    full, rounded, _, both = page.evaluate(LIT)
    assert {full, rounded} == {"solid", "2px,4px"}  # kept by one, dotted where it was cut
    assert both in ("solid", "9px,5px")
    assert edge.get_attribute("aria-pressed") == "true"
    edge.click()
    page.wait_for_function(f"() => !({LIT})().some(Boolean)")


def test_a_press_on_the_pages_link_counts_whatever_the_picture_says_after_it(filled, open_page):
    page = open_page(filled.url)
    page.evaluate("""() => {
      [...document.querySelectorAll('[data-testid=stTopNavLink]')].at(-1).click();
      document.querySelector('.obs [data-tab=log]').click();
    }""")
    drawn(page)


@pytest.mark.parametrize("other", [False, True])
def test_where_no_other_page_comes_the_picture_goes_on_speaking(filled, open_page, other):
    """Its own page's link was pressed, or one that leads nowhere."""
    page = open_page(filled.url)
    if other:
        page.evaluate("""() => {
          const link = document.createElement("a");
          link.dataset.testid = "stTopNavLink";
          document.body.append(link);
          link.click();
        }""")
    else:
        page.locator("[data-testid=stTopNavLink]", has_text="Discover").click()
        page.wait_for_timeout(500)
    page.locator(".obs [data-tab=log]").click()
    page.wait_for_function("() => location.search.includes('view=log')")


def test_where_nothing_changed_the_list_says_so(filled, open_compare):
    page = drawn(open_compare(filled.url))
    assert "No edge changed its verdict." in page.locator(".cmp-flips").inner_text()


def test_all_graphs_show_the_same_part(filled, open_compare):
    page = drawn(open_compare(filled.url))
    whole = page.evaluate(RANGES)
    assert len(whole) == 4
    assert len(set(whole)) == 1
    page.locator("[data-tool=in]").click()
    page.wait_for_function(
        f"() => new Set(({RANGES})()).size === 1 && ({RANGES})()[0] !== '{whole[0]}'"
    )
    page.locator("[data-tool=fit]").click()
    page.wait_for_function(f"() => ({RANGES})().every(range => range === '{whole[0]}')")


def test_pointing_at_a_component_shows_its_moment_in_every_run(filled, open_compare):
    page = drawn(open_compare(filled.url))
    before = page.evaluate(TESTED)
    place = page.evaluate("""() => {
      const gd = document.querySelector('[data-part=map]');
      const [cells] = gd.data, i = cells.ids.indexOf('a3.h2'), box = gd.getBoundingClientRect();
      const { xaxis, yaxis } = gd._fullLayout;
      gd.scrollIntoView({ block: 'center' });
      const now = gd.getBoundingClientRect();
      return [now.x + xaxis._offset + xaxis.d2p(cells.x[i]),
        now.y + yaxis._offset + yaxis.d2p(cells.y[i])];
    }""")
    page.mouse.move(place[0] - 4, place[1] - 4)
    page.mouse.move(*place)
    page.wait_for_function(f"() => ({TESTED})()[0] !== '{before[0]}'")
    assert len(set(page.evaluate(TESTED))) == 1
    words = page.locator("[data-part=words]").all_inner_texts()
    assert words[0] == "While layer 3 head 2 is tested: everything in FP32."
    assert words[1] == "While layer 3 head 2 is tested: everything in INT8."
    assert words[2].startswith("While layer 3 head 2 is tested: 1 in FP32,")


def test_the_legend_hides_what_both_keep(filled, open_compare):
    page = drawn(open_compare(filled.url))
    kinds = "() => document.querySelector('[data-part=graph]').data.map(t => t.meta)"
    assert "both" in page.evaluate(kinds)
    page.locator(".cmp-legend [data-kind=both]").click()
    page.wait_for_function(f"() => !({kinds})().includes('both')")


def test_a_run_opens_in_discover_and_the_way_back_keeps_the_choice(filled, open_compare):
    page = uniform(open_compare(filled.url))
    page.locator("[data-open]").nth(1).click()
    page.wait_for_url(re.compile(r"/\?run=20261102-100000-rtn-int8"))
    page.wait_for_selector(".obs[data-drawn]")
    page.locator("[data-testid=stTopNavLink]", has_text="Compare").click()
    page.wait_for_selector("[data-edge]")
    assert "b=20261102-100000-rtn-int8" in page.url


def test_columns_are_explained_to_mouse_and_keyboard(filled, open_compare):
    page = drawn(open_compare(filled.url))
    jaccard = page.locator("[data-tip]", has_text="Jaccard")
    words = "e => getComputedStyle(e, '::after').content"
    assert jaccard.evaluate(words) == "none"
    jaccard.focus()
    assert "share of those kept by either" in jaccard.evaluate(words)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark"), (768, "light")])
def test_nothing_is_wider_than_the_window(filled, open_compare, width, scheme):
    page = uniform(open_compare(filled.url, color_scheme=scheme))
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(
        f"() => document.querySelector('[data-part=graph]').clientWidth < {width}"
    )
    page.wait_for_timeout(300)
    assert page.evaluate(OVERFLOW) == [0, 0]
    theme = page.locator(".cmp").first.get_attribute("data-theme")
    assert theme == scheme


def test_a_link_to_the_page_opens_it_on_a_server_that_has_just_begun(chromium, tmp_path):
    for day, policy in enumerate(POLICIES, start=1):
        write_finished(tmp_path / "runs" / f"2026110{day}-100000-{policy}", policy)
    server = serve(tmp_path, **SESSION)
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(f"{server.url}/compare?b=20261102-100000-rtn-int8")
        page.wait_for_selector("[data-edge]", timeout=40_000)
        assert page.locator("[data-testid=stTopNavLink]").count() == 2  # main.py's navigation
    finally:
        context.close()
        server.process.terminate()
        server.process.wait(timeout=20)
