"""The form: model, task, policy, threshold and, below, every other knob of a run."""

from collections.abc import Callable
from typing import Any, get_args

import streamlit as st

import choices
from components.strip import capital, note
from pahq import catalog
from pahq.errors import UsageError
from pahq.runs.config import check_threshold

NOT = "✕"  # marks a task that a model was not made for; words would be cut off
KEPT = "session"  # a control that is not on screen keeps its value
HELP = {
    "model": "Shipped models are ready. Others are downloaded once, when you press Run.",
    "task": "Pairs of prompts that differ in one fact. The circuit is what makes the difference.",
    "policy": "Which parts compute in which number format while an edge is tested.",
    "tau": "In the metric's unit. Smaller keeps more edges.",
    "pace": "A small model is searched within a second or two. This changes no decision, and the "
    "time waited is not counted. The first choice spreads a search over eight seconds.",
}


def model_box() -> None:
    """Draw the choice of a model and what is known about it."""
    names = [entry.name for entry in catalog.MODELS] + [choices.DIRECTORY]
    name = st.selectbox(
        "Model",
        names,
        key="model",
        persist_state=KEPT,
        format_func=choices.model_label,
        help=HELP["model"],
    )
    if name == choices.DIRECTORY:
        placeholder = "/path/to/model"
        name = st.text_input(
            "Directory", key="model_path", persist_state=KEPT, placeholder=placeholder
        )
    facts = choices.model_facts(name)
    st.caption(facts.line)
    if facts.notice:
        st.info(facts.notice, icon=":material/cloud_download:")


def task_box(model: str) -> str:
    """Draw the choice of a task; return its name, or the path of a file."""
    names = [entry.name for entry in catalog.TASKS] + [choices.FILE]
    titles = {entry.name: entry.title for entry in catalog.TASKS}
    known = catalog.model_or_none(model)
    strange = [n for n in titles if known is not None and n not in known.tasks]
    titles |= {name: f"{titles[name]} {NOT}" for name in strange}
    titles[choices.FILE] = "A task file on this computer …"
    name = st.selectbox(
        "Task",
        names,
        key="task",
        persist_state=KEPT,
        format_func=titles.__getitem__,
        help=HELP["task"],
    )
    if strange:
        st.caption(f"{NOT} not for {model}")
    if name == choices.FILE:
        return st.text_input(
            "File", key="task_path", persist_state=KEPT, placeholder="/path/to/task.json or .csv"
        )
    return name


def policy_switch(device: str) -> None:
    """Draw the three policies of the paper, and the rest behind More."""
    main = choices.policies(device)
    name = st.segmented_control(
        "Precision",
        [*main, choices.MORE],
        key="policy",
        persist_state=KEPT,
        format_func=lambda name: choices.SHORT.get(name, "More"),
        required=True,
        width="stretch",
        help="\n".join([HELP["policy"], "", *_policy_lines(main)]),
    )
    if name == choices.MORE:
        rest = [entry.name for entry in catalog.POLICIES if entry.name not in main]
        titles = {entry.name: entry.title for entry in catalog.POLICIES}
        name = st.selectbox(
            "Policy",
            rest,
            key="policy_more",
            persist_state=KEPT,
            format_func=lambda name: titles.get(str(name), str(name)),
            accept_new_options=True,
            label_visibility="collapsed",
        )
    entry = next((entry for entry in catalog.POLICIES if entry.name == name), None)
    st.caption(entry.description if entry else "A policy file, in the form of the named ones.")


def _policy_lines(names: tuple[str, ...]) -> list[str]:
    entries = {entry.name: entry for entry in catalog.POLICIES}
    return [f"- **{choices.SHORT[name]}**: {entries[name].description}" for name in names]


def threshold_box(
    metric: str, absolute: bool, *, on_slide: Callable[[], None], on_type: Callable[[], None]
) -> dict[str, str] | None:
    """Draw slider and exact box, bound to each other, and the sentence that says what it does.

    Returns what is wrong with the number in the box, which then stands below it.
    """
    entry = catalog.find(catalog.METRICS, metric, kind="metric")
    slider, box = st.columns([2.1, 1], vertical_alignment="bottom")
    slider.select_slider(
        "Threshold τ",
        choices.THRESHOLDS,
        key="tau_slider",
        persist_state=KEPT,
        format_func=lambda x: f"{x:g}",
        on_change=on_slide,
        help=f"{HELP['tau']}\n\n{entry.title}: {entry.description}",
    )
    typed = box.text_input(
        "Exact", key="tau", persist_state=KEPT, on_change=on_type, label_visibility="collapsed"
    )
    try:
        value = check_threshold(typed)
    except UsageError as error:
        note("bad", f"{error.what} {capital(error.fix)}.")
        return error.as_dict()
    change = "changes" if absolute else "raises"
    st.caption(
        f"An edge is removed if cutting it {change} the {entry.title} by less than "
        f"**{value:g} {entry.unit}**."
    )
    return None


def pace_box() -> None:
    """Draw the choice of how fast decisions are made."""
    st.selectbox(
        "Pace",
        list(choices.PACES),
        key="pace",
        persist_state=KEPT,
        format_func=lambda name: choices.PACES[name][0],
        help=HELP["pace"],
    )


def knob_box(name: str, field: Any) -> None:
    """Draw one knob, by its type and limits alone."""
    key, label = f"knob_{name}", name.replace("_", " ").capitalize()
    extra = field.json_schema_extra
    if "choices" in extra:
        entries = getattr(catalog, extra["choices"])
        titles = {entry.name: entry.title for entry in entries}
        st.selectbox(
            label,
            list(titles),
            key=key,
            persist_state=KEPT,
            format_func=titles.__getitem__,
            help=field.description,
        )
    elif field.annotation is bool:
        st.toggle(label, key=key, persist_state=KEPT, help=field.description)
    elif int in (field.annotation, *get_args(field.annotation)):
        st.number_input(
            label, key=key, persist_state=KEPT, step=1, min_value=_least(field),
            help=field.description, placeholder="automatic",
        )  # fmt: skip
    elif float in (field.annotation, *get_args(field.annotation)):
        st.number_input(
            label,
            key=key,
            persist_state=KEPT,
            min_value=0.0,
            step=0.5,
            help=field.description,
            placeholder="automatic",
        )
    else:
        st.text_input(label, key=key, persist_state=KEPT, help=field.description)


def _least(field: Any) -> int | None:
    return next((int(limit.ge) for limit in field.metadata if hasattr(limit, "ge")), None)
