"""The runs of a comparison that are still to come: how far each is, and what can be done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from components.strip import MARKS, explain
from status import Status

ACTIONS = {
    "stop": ("Stop", "stop"), "continue": ("Continue", "play_arrow"),
    "restart": ("Restart", "restart_alt"), "resume": ("Resume", "resume"),
    "dismiss": ("Dismiss", "close"),
}  # fmt: skip
WATCHED = ("loading", "running", "paused", "stopping", "stuck")  # there is something to see


@dataclass(frozen=True)
class Coming:
    """A run in work, in the queue, or one that came to nothing. ``share`` is decided."""

    id: str
    settings: str
    status: Status
    share: float


def compare_queue(coming: Sequence[Coming], *, on_press: Callable[[str, str], None]) -> None:
    """Draw one line a run. ``on_press`` is told what was pressed, and the run's id."""
    if not coming:
        return
    with st.container(key="queue", gap="small"):
        for run in coming:
            _line(run, on_press)


def _line(run: Coming, on_press: Callable[[str, str], None]) -> None:
    now = run.status
    with st.container(key=f"queue-{run.id}", horizontal=True, vertical_alignment="center"):
        st.html(
            f'<div class="strip" data-kind="{now.kind}" data-run="{escape(run.id)}" role="status">'
            f'<b><i aria-hidden="true">{MARKS.get(now.kind, "○")}</i> {escape(now.title)}</b>'
            f"<span>{escape(run.settings)}</span><em>{escape(now.detail)}</em>"
            f'<u style="width:{100 * run.share:.1f}%"></u></div>',
            width="stretch",
        )
        if now.kind in WATCHED:
            st.page_link(
                "views/discover.py", label="Watch", icon=":material/visibility:",
                query_params={"run": run.id},
            )  # fmt: skip
        for name in _actions(now):
            label, icon = ACTIONS[name]
            st.button(
                label,
                key=f"{name}-{run.id}",
                icon=f":material/{icon}:",
                width="content",
                on_click=on_press,
                args=(name, run.id),
            )
    if now.error:
        explain(now.error)


def _actions(status: Status) -> tuple[str, ...]:
    if status.kind == "paused":
        return ("continue", "stop")
    if status.kind == "stuck":
        return ("restart",)
    if status.kind in ("queued", "loading", "running"):
        return ("stop",)
    return ("resume", "dismiss") if not status.live else ()
