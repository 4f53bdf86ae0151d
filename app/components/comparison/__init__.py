"""The pictures of page Compare: runs side by side, and two circuits in one graph."""

from functools import cache
from pathlib import Path
from typing import Any

from streamlit.components.v2 import component

from components import observatory
from components.served import serve

HERE = Path(__file__).parent


def pictures(data: dict[str, Any], *, key: str) -> str | None:
    """Mount what ``data["kind"]`` says; return the id of a run that is to be opened."""
    serve(observatory.SERVED | {"comparison": HERE})
    answer = _component()(key=key, data=data, height="content", on_open_change=lambda: None)
    return answer.open


@cache
def _component() -> Any:
    return component("pahq.comparison", js="main.js", css="style.css", isolate_styles=False)
