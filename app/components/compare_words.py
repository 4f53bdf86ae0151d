"""What a comparison comes to in words, and what to do where there is none yet."""

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st


def says(sentences: Sequence[tuple[str, str]], notices: Sequence[str]) -> None:
    """Draw one sentence a run, its name in bold, and below them what makes the runs unlike."""
    lines = "".join(f"<p>{_bold(name, text)}</p>" for name, text in sentences)
    unlike = "".join(f'<p class="unlike">{escape(notice)}</p>' for notice in notices)
    if lines or unlike:
        st.html(f'<div class="compare-says" role="status">{lines}{unlike}</div>')


def _bold(name: str, text: str) -> str:
    rest = text.removeprefix(name)
    return f"<b>{escape(name)}</b>{escape(rest)}" if rest != text else escape(text)


def alone(*, coming: bool) -> None:
    """Say what to do while the reference has nothing beside it."""
    what = (
        "The others appear here as soon as they are finished."
        if coming
        else "Nothing is compared with A yet. <b>Run the missing ones</b> adds the same search in "
        "the other precisions; or choose a run of yours above."
    )
    st.html(f'<div class="compare-alone">{what}</div>')


def nothing(settings: str, *, coming: bool, on_run: Callable[[], None] | None) -> None:
    """Draw what stands where the comparison will be, with the next thing to do."""
    what = (
        "The first result appears here as soon as its run is finished."
        if coming
        else "The same search three times: everything in FP32, everything rounded, and PAHQ, which "
        "keeps only the component under test precise. You will see what rounding costs, what it "
        "saves, and which edges change their verdict."
    )
    title = "Comparing" if coming else "Nothing to compare yet"
    st.html(
        f'<div class="empty-card compare-empty"><div><h3>{title}</h3><p>{what}</p>'
        f"<p><small>{escape(settings)}</small></p></div></div>"
    )
    if on_run is not None:
        with st.container(key="start-compare", horizontal_alignment="center"):
            st.button(
                "Run all three", key="run-missing", type="primary",
                icon=":material/playlist_play:", on_click=on_run,
            )  # fmt: skip
