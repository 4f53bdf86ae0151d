"""Page Discover: choose, run, and watch the circuit emerge."""

import streamlit as st

import choices
import state
from components import settings
from components.observatory import observatory
from components.preflight import preflight
from components.strip import explain, strip
from components.task_card import task_card
from pahq.errors import PahqError
from status import settings_line

TICK = 0.7  # seconds between looks at a run in work
PICTURE = "picture"


def sidebar() -> None:
    """Draw the settings and Run."""
    facts = settings.model_box(st.session_state["model_path"])
    task = settings.task_box()
    if task:
        model = st.session_state["model"]
        model = st.session_state["model_path"] if model == choices.DIRECTORY else model
        seed, stamp = st.session_state["knob_seed"], choices.file_stamp(task)
        task_card(choices.task_card(task, model, seed, stamp))
    settings.policy_switch(st.session_state["knob_device"])
    settings.threshold_box(
        st.session_state["knob_metric"],
        st.session_state["knob_absolute"],
        on_slide=state.slider_moved,
        on_type=state.box_changed,
    )
    st.button(
        "Run",
        key="run",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        shortcut="Ctrl+Enter",
        on_click=state.start,
        disabled=not facts.ready and st.session_state["model"] == choices.DIRECTORY,
    )
    if refused := state.refused():
        explain(refused)
    before_the_search()
    with st.expander("Advanced", key="advanced"):
        for name, field in state.advanced().items():
            settings.knob_box(name, field)


@st.fragment(run_every=1.5)
def before_the_search() -> None:
    """Say whether the model can do the task and what the search will cost."""
    preflight(state.check(), problem=state.worker().problem, ready=state.worker().ready)


def watch() -> None:
    """Draw the run on screen; called again and again while it goes on."""
    run = state.shown()
    tail = state.tail(run) if run else None
    status = state.status(run, tail)
    line = ""
    if run is not None:
        try:
            line = settings_line(run.config)
        except PahqError as error:
            explain(error.as_dict())
    strip(status, line, on_press=state.act)
    if run is not None and tail is not None:
        observatory(
            tail.message(
                status={
                    "live": status.live,
                    "title": status.title,
                    "detail": status.detail,
                    "memory": state.memory(run) if status.live else None,
                },
                initial=state.initial_look(),
            ),
            key=PICTURE,
            on_look=lambda: state.looked(PICTURE),
            on_resync=state.resync,
        )
    if status.live != st.session_state.get("was_live", status.live):
        st.session_state["was_live"] = status.live
        st.rerun()
    st.session_state["was_live"] = status.live


state.seed()
with st.sidebar:
    sidebar()
state.write_url()
now = state.shown()
live = state.status(now, state.tail(now) if now else None).live
st.session_state["was_live"] = live
st.fragment(watch, run_every=TICK if live else None)()
