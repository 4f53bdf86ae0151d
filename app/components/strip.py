"""The one line that says what goes on, with what can be done about it."""

from collections.abc import Callable
from html import escape

import streamlit as st

from status import Status

MARKS = {"running": "●", "paused": "❚❚", "finished": "✓", "failed": "✕", "recording": "▷"}


def strip(
    status: Status,
    settings: str,
    log: str,
    *,
    on_press: Callable[[str], None],
    hindrance: dict[str, str] | None = None,
) -> None:
    """Draw the strip, and ``log`` below an error.

    Args:
        status: what to say.
        settings: the run's settings in a few words.
        log: what the worker wrote last.
        on_press: told which button was pressed.
        hindrance: why a run with the form's settings cannot begin.
    """
    detail = f"<em>{escape(status.detail)}</em>"
    if status.kind == "running":  # the picture writes it, so that the two never differ
        detail = "<em data-live></em>"
    with st.container(key="strip", horizontal=True, vertical_alignment="center"):
        st.html(
            f'<div class="strip" data-kind="{status.kind}" role="status">'
            f'<b><i aria-hidden="true">{MARKS.get(status.kind, "○")}</i> {escape(status.title)}</b>'
            f"<span>{escape(settings)}</span>{detail}</div>",
            width="stretch",
        )
        for name, label, icon in _buttons(status):
            why_not = hindrance if name == "compute" else None
            st.button(
                label,
                key=f"do-{name}",
                icon=f":material/{icon}:",
                width="content",
                on_click=on_press,
                args=(name,),
                disabled=why_not is not None,
                help=why_not["what"] if why_not else None,
            )
    if status.error:
        explain(status.error)
        if log:
            with st.expander("Show log", key="log"):
                st.code(log, language=None, wrap_lines=True)


def _buttons(status: Status) -> list[tuple[str, str, str]]:
    kind = status.kind
    stop = ("stop", "Stop and keep", "stop")
    if kind == "running":
        return [("pause", "Pause", "pause"), stop]
    if kind == "paused":
        step = ("step", "Step one node", "skip_next")
        return [("continue", "Continue", "play_arrow"), step, stop]
    if kind == "stuck":
        return [("restart", "Restart", "restart_alt")]
    if kind in ("queued", "loading"):
        return [("stop", "Stop", "stop")]
    if kind == "recording":
        return [("compute", "Run it", "play_arrow")]
    if kind in ("stopped", "failed", "interrupted"):
        again = ("again", "Try again" if kind == "failed" else "Run it", "play_arrow")
        go_on = ("resume", "Resume", "resume") if status.begun else again
        return [go_on, ("dismiss", "Dismiss", "close")] if status.error else [go_on]
    return []


def empty(*, on_run: Callable[[], None], hindrance: dict[str, str] | None) -> None:
    """Draw what stands where the picture will be, with the next thing to do."""
    st.html(
        '<div class="empty-card"><div><h3>No circuit yet</h3><p>Choose a model and a task on the '
        "left, then press Run. You will see every decision as it is made: edges that matter stay, "
        "the rest goes.</p></div></div>"
    )
    with st.container(key="start-here"):
        st.button(
            "Find a circuit",
            type="primary",
            icon=":material/play_arrow:",
            on_click=on_run,
            disabled=hindrance is not None,
            help=hindrance["what"] if hindrance else None,
        )


def explain(error: dict[str, str]) -> None:
    """Draw an error: what happened, why, how to fix it."""
    parts = {name: escape(capital(error.get(name, ""))) for name in ("what", "why", "fix")}
    st.html(
        f'<div class="problem-card" role="alert"><b>{parts["what"]}</b>'
        f"<p><i>Why</i>{parts['why']}</p><p><i>What to do</i>{parts['fix']}</p></div>"
    )


def note(kind: str, text: str) -> None:
    """Draw a line of the form: ``good bad warn wait idle``."""
    st.html(f'<p class="preflight" data-kind="{kind}">{escape(text)}</p>')


def capital(text: str) -> str:
    """Return ``text`` as the beginning of a sentence."""
    return text[:1].upper() + text[1:]
