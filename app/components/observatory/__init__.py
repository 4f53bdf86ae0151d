"""The live picture of a run: graph, precision map, replay, key figures, details."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import plotly
from streamlit.components.v2 import component

from components.served import serve

HERE = Path(__file__).parent
# plotly.min.js is served from the wheel itself: nothing to copy, nothing that could be out of date.
SERVED = {"observatory": HERE, "plotly": Path(plotly.__file__).parent / "package_data"}


def observatory(
    data: dict[str, Any],
    *,
    key: str,
    on_look: Callable[[], None],
    on_resync: Callable[[], None],
    on_cost: Callable[[], None],
    on_threshold: Callable[[], None],
) -> Any:
    """Mount the picture. In session state, under its key, are the browser's answers.

    ``look`` is what the reader selected, ``cost`` how often the interval between messages should
    be doubled, ``threshold`` the one to run with next. ``resync`` asks for the whole log.
    """
    serve(SERVED)
    return _component()(
        key=key, data=data, height="content",
        on_look_change=on_look, on_resync_change=on_resync, on_cost_change=on_cost,
        on_threshold_change=on_threshold,
    )  # fmt: skip


@cache
def _component() -> Any:
    return component("pahq.observatory", js="main.js", css="style.css", isolate_styles=False)
