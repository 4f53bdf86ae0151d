"""What a person does on page Discover, and what is then on screen."""

NODE_PIXEL = """name => {
  const gd = document.querySelector('[data-part=graph]');
  const trace = gd.data.find(t => t.ids);
  const i = trace.ids.indexOf(name);
  const { xaxis, yaxis } = gd._fullLayout;
  const box = gd.getBoundingClientRect();
  return [box.x + xaxis._offset + xaxis.d2p(trace.x[i]),
    box.y + yaxis._offset + yaxis.d2p(trace.y[i])];
}"""
RANGE = "() => document.querySelector('[data-part=graph]')._fullLayout.xaxis.range.slice()"
COUNT = "() => ({...document.querySelector('.obs').dataset})"


def facts(page) -> dict:
    return page.evaluate(COUNT)


def strip(page) -> str:
    return page.locator(".strip").get_attribute("data-kind")


def run(page) -> str:
    """Press Run; return the run's id once its first decision is on screen."""
    page.locator(".st-key-run button").click()
    page.wait_for_function(
        "() => { const d = document.querySelector('.obs').dataset;"
        " return d.run !== 'made-ioi' && Number(d.decided) > 0 && d.drawn === d.step; }"
    )
    return facts(page)["run"]


def stop(page):
    page.locator(".st-key-do-stop button").click()
    page.wait_for_selector(".strip[data-kind=stopped]")


def wait_for_more(page, than: int, more: int = 20):
    # After Resume the page is drawn anew: for a moment there may be no picture to ask.
    page.wait_for_function(
        f"() => Number(document.querySelector('.obs')?.dataset.decided) > {than + more}"
    )


def click_node(page, name, *, adding=False):
    x, y = page.evaluate(NODE_PIXEL, name)
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.wait_for_selector("[data-part=graph-tip]:not([hidden])")
    if adding:
        page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.up()
    page.keyboard.up("Shift")


def scrub(page, step):
    page.evaluate(
        "step => { const r = document.querySelector('.obs-track input'); r.value = step;"
        " r.dispatchEvent(new Event('input', {bubbles: true})); }",
        step,
    )
    page.wait_for_function(f"() => document.querySelector('.obs').dataset.drawn === '{step}'")
