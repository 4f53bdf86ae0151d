"""Draws the figures of docs/images from the results files, in headless Chromium.

Run it after `pahq bench scaling --device cpu`: python scripts/draw_figures.py
"""

import statistics
from pathlib import Path
from urllib.parse import unquote

import plotly
import plotly.graph_objects as go
from playwright.sync_api import sync_playwright
from plotly.subplots import make_subplots

from pahq.bench.results import read

ROOT = Path(__file__).parents[1]
RESULTS, IMAGES = ROOT / "benchmarks" / "results", ROOT / "docs" / "images"
PANELS = {"layers": "Layers", "heads": "Heads a layer", "pairs": "Prompt pairs", "tokens": "Tokens"}
OURS, FORWARD = "#0072b2", "#999999"


def scaling() -> go.Figure:
    """Return the cost of one test against each size, beside one full forward."""
    rows = read("engine-scaling", RESULTS)["rows"]
    figure = make_subplots(cols=len(PANELS), shared_yaxes=True, horizontal_spacing=0.03)
    for column, (varied, title) in enumerate(PANELS.items(), start=1):
        own = [row for row in rows if row["varied"] == varied]
        x = [row["value"] for row in own]
        lines = {
            "one full forward": (
                [1e3 * statistics.mean(row["bridge_seconds"].values()) for row in own], FORWARD,
            ),
            "a test of pahq's": ([1e3 * row["seconds"] / row["tests"] for row in own], OURS),
        }  # fmt: skip
        for name, (y, color) in lines.items():
            figure.add_scatter(
                x=x, y=y, name=name, mode="lines+markers", line={"color": color},
                showlegend=column == 1, row=1, col=column,
            )  # fmt: skip
        figure.update_xaxes(type="log", tickvals=x, title=title, row=1, col=column)
    figure.update_yaxes(type="log", dtick=1)
    figure.update_yaxes(title="milliseconds", row=1, col=1)
    figure.update_layout(
        template="plotly_white", width=920, height=300, font_size=12,
        margin={"l": 60, "r": 10, "t": 10, "b": 45}, legend={"x": 0.01, "y": 0.55},
    )  # fmt: skip
    return figure


def save(figure: go.Figure, path: Path) -> None:
    """Write a figure as SVG."""
    script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        page = browser.new_page()
        page.add_script_tag(path=script)
        drawn = page.evaluate(
            "figure => Plotly.toImage(figure, {format: 'svg', width: figure.layout.width,"
            " height: figure.layout.height})",
            figure.to_plotly_json(),
        )
        browser.close()
    path.write_text(unquote(drawn.partition(",")[2]), encoding="utf-8")


if __name__ == "__main__":
    save(scaling(), IMAGES / "scaling.svg")
