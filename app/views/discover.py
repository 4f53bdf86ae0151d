"""Page Discover: choose, run, and watch the circuit emerge."""

import time

import streamlit as st

import choices
import form
import state
from components import settings
from components.observatory import observatory
from components.preflight import preflight
from components.preview import preview
from components.strip import empty, explain, note, strip
from components.task_card import task_card
from pahq import catalog
from pahq.errors import PahqError
from status import Status, settings_line

TICK = 0.7  # seconds between looks at a run in work
QUICK = 0.25  # the same until its first decision
CHECK_TICK = 1.0  # the same at a check in work
PICTURE = "picture"


def sidebar() -> None:
    """Draw the settings and Run.

    Each part has a container of its own. So what comes and goes in one moves none of the others,
    and what a fragment of an earlier run of the page still sends has its place.
    """
    with st.container():
        settings.model_box()
    with st.container():
        task_part()
    with st.container():
        settings.policy_switch(form.setting("knob_device"))
    with st.container():
        no_threshold = settings.threshold_box(
            form.setting("knob_metric"),
            form.setting("knob_absolute"),
            on_slide=form.slider_moved,
            on_type=form.box_changed,
        )
        preview(state.expected())
    hindrance = no_threshold or state.hindrance()
    st.button(
        "Run",
        key="run",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        shortcut="Ctrl+Enter",
        on_click=state.start,
        disabled=hindrance is not None,
        help=hindrance["what"] if hindrance else None,
    )
    with st.container():
        if no_threshold:
            note("bad", "Run waits for a threshold.")
        elif reason := hindrance or state.refused():
            explain(reason)
    pending = state.noted("pending", state.check_pending())
    ticking = st.fragment(before_the_search, run_every=CHECK_TICK if pending else None)
    ticking(hindered=hindrance is not None)
    with st.expander("Advanced", key="advanced"):
        settings.pace_box()
        for name, field in form.advanced().items():
            settings.knob_box(name, field)


def task_part() -> None:
    """Draw the choice of a task, and its card."""
    model = form.chosen("model")
    if task := settings.task_box(model):
        entry = catalog.model_or_none(model)
        card = choices.task_card(task, model, form.setting("knob_seed"), choices.file_stamp(task))
        task_card(card, model=entry.title if entry else model)


def before_the_search(*, hindered: bool) -> None:
    """Say whether the model can do the task and what the search will cost.

    ``hindered``: Run waits, as the page was drawn last.
    """
    preflight(
        state.check(),
        problem=state.worker().problem,
        ready=state.worker().ready,
        said=hindered and form.threshold() is not None,
        on_again=state.check_again,
    )
    turned = state.turned("pending", state.check_pending())
    if turned or hindered != (state.hindrance() is not None):
        state.draw_anew()  # so that the ticking begins or ends, and Run is as the check says


def tick(status: Status) -> float | None:
    """Return how often to look; None once nothing more is coming."""
    if not status.live:
        return None
    return QUICK if status.kind == "loading" else TICK * 2 ** state.load().doublings


def watch() -> None:
    """Draw the run on screen; called again and again while it goes on."""
    began = time.thread_time()  # what others take of the processor is no reason to look less often
    run = state.shown()
    tail = state.tail(run) if run else None
    status = state.status(run, tail)
    line = ""
    if run is not None:
        try:
            line = settings_line(run.config)
        except PahqError as error:
            explain(error.as_dict())
    log = state.worker_log() if status.error else ""
    hindrance = state.hindrance() if status.kind in ("recording", "empty") else None
    strip(status, line, log, on_press=state.act, hindrance=hindrance)
    if run is None or tail is None:
        empty(on_run=state.start, hindrance=hindrance)
    else:
        now = {"live": status.live, "title": status.title, "detail": status.detail}
        now |= state.memory(run) | {"kind": status.kind, "interval": tick(status)}
        observatory(
            tail.message(status=now, initial=state.initial_look()),
            key=PICTURE,
            on_look=lambda: state.looked(PICTURE),
            on_resync=state.resync,
            on_cost=lambda: state.drawn(PICTURE),
            on_threshold=lambda: state.try_threshold(PICTURE),
        )
    if status.live:
        state.load().note(time.thread_time() - began)
    if state.turned("tick", tick(status)):
        if status.kind == "finished":
            state.tell(f"Finished: {status.detail}")
        state.draw_anew()


form.seed(state.shown())
with st.sidebar:
    sidebar()
form.write_url()
if finished := state.news():
    st.toast(finished, icon=":material/check:")
st.fragment(watch, run_every=state.noted("tick", tick(state.present())))()
