"""The form: what its controls are set to, in session state and in the URL."""

import contextlib
from typing import Any

import streamlit as st

import choices
from pahq import catalog
from pahq.errors import UsageError
from pahq.runs.config import RunConfig, check_threshold, knobs, make_config
from pahq.runs.pace import Pace
from pahq.runs.store import RunFolder
from pahq.tasks.source import USUAL_COUNT

SPECIAL = ("model", "task", "threshold", "policy")  # knobs with a control of their own
DEFAULTS: dict[str, Any] = {
    "model": "tiny-gpt", "model_path": "", "task": "ioi", "task_path": "", "policy": "pahq-int8",
    "policy_more": "", "tau": "0.01", "tau_slider": 0.01, "pace": "watch",
}  # fmt: skip
OF_THE_MACHINE = ("threads", "batch_size", "memory_limit")  # not taken over from another run


def seed(run: RunFolder | None) -> None:
    """Fill the form once a session: from the URL, else from ``run``, else by default."""
    if "seeded" in st.session_state:
        return
    st.session_state["seeded"] = True
    values = dict(DEFAULTS)
    values |= {f"knob_{name}": field.default for name, field in advanced().items()}
    if run is not None:
        with contextlib.suppress(UsageError):
            values |= _from_config(run.config)
    for name, text in st.query_params.items():
        values |= _from_url(name, text)
    for key, value in values.items():
        st.session_state.setdefault(key, value)


def take(config: RunConfig, *, threshold: float) -> None:
    """Set the form as a run was, but for its threshold."""
    for key, value in (_from_config(config) | _tau(threshold)).items():
        st.session_state[key] = value


def advanced() -> dict[str, Any]:
    """Return the knobs without a control of their own; a new knob appears by itself."""
    return {name: field for name, field in knobs().items() if name not in SPECIAL}


def _from_url(name: str, text: str) -> dict[str, Any]:
    """Return what one parameter of the URL sets; whatever is not a known value is ignored."""
    lists = {"model": catalog.MODELS, "task": catalog.TASKS, "policy": catalog.POLICIES}
    if name in lists and any(entry.name == text for entry in lists[name]):
        return _policy(text) if name == "policy" else {name: text}
    if name == "tau":
        try:
            return _tau(check_threshold(text))
        except UsageError:
            return {}
    return {}


def _from_config(config: RunConfig) -> dict[str, Any]:
    values: dict[str, Any] = {}
    known = catalog.model_or_none(config.model) is not None
    values |= {"model": config.model} if known else {"model": choices.DIRECTORY}
    values |= {} if known else {"model_path": config.model}
    known = catalog.task_or_none(config.task) is not None
    values |= {"task": config.task} if known else {"task": choices.FILE, "task_path": config.task}
    values |= _tau(config.threshold) | _policy(config.policy)
    same = [name for name in advanced() if name not in OF_THE_MACHINE]
    values |= {f"knob_{name}": getattr(config, name) for name in same}
    # A file chosen next would be cut to what is merely the usual number of a named task.
    return values | ({"knob_examples": None} if known and config.examples == USUAL_COUNT else {})


def _policy(name: str) -> dict[str, Any]:
    main = name in choices.SHORT
    return {"policy": name if main else choices.MORE, "policy_more": "" if main else name}


def _tau(value: float) -> dict[str, Any]:
    nearest = min(choices.THRESHOLDS, key=lambda step: abs(step - value))
    return {"tau": f"{value:g}", "tau_slider": nearest}


def slider_moved() -> None:
    """Write the slider's threshold into the box."""
    st.session_state["tau"] = f"{st.session_state['tau_slider']:g}"


def box_changed() -> None:
    """Move the slider to the step nearest to the box."""
    if (value := threshold()) is not None:
        st.session_state["tau_slider"] = _tau(value)["tau_slider"]


def threshold() -> float | None:
    """Return the threshold in the box; None if it is none."""
    try:
        return check_threshold(st.session_state["tau"])
    except UsageError:
        return None


def setting(key: str) -> Any:
    """Return what a control is set to."""
    return st.session_state[key]


def chosen(name: str) -> str:
    """Return the chosen ``model``, ``task`` or ``policy``: a name, or a path of the user's."""
    elsewhere = {
        "model": (choices.DIRECTORY, "model_path"),
        "task": (choices.FILE, "task_path"),
        "policy": (choices.MORE, "policy_more"),
    }
    entry, key = elsewhere[name]
    value = st.session_state[name]
    return (st.session_state.get(key) or "") if value == entry else value


def config(*, threshold: Any = None) -> RunConfig:
    """Return the form as a checked config, with another ``threshold`` if one is given.

    Raises:
        UsageError: for what cannot be used.
    """
    settings = {name: setting(f"knob_{name}") for name in advanced()}
    settings |= {name: chosen(name) for name in ("model", "task", "policy")}
    for name, what in (("model", "directory"), ("task", "file"), ("policy", "policy")):
        if not settings[name]:
            raise UsageError(
                f"No {what} is given.", why=f"the {name} is still empty", fix=f"fill in the {what}"
            )
    return make_config(threshold=threshold or setting("tau"), **settings)


def pace() -> Pace:
    """Return how fast decisions are to be made."""
    return choices.PACES[setting("pace")][1]


def write_url() -> None:
    """Keep the settings in the URL, so that it can be bookmarked."""
    settings = {"model": setting("model"), "task": setting("task"), "tau": setting("tau")}
    settings["policy"] = chosen("policy")
    for name, value in settings.items():
        if str(value) != str(DEFAULTS[name]) and value:
            st.query_params[name] = str(value)
        else:
            st.query_params.pop(name, None)
