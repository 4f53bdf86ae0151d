"""Which runs page Compare sets side by side, in session state and in the URL, and their queue."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

import comparing
import form
import state
from comparing import Finished
from live import Tail
from pahq.errors import PahqError
from pahq.runs import store
from pahq.runs.config import RunConfig
from pahq.runs.pace import Pace
from pahq.runs.store import RunFolder
from status import Status

REFERENCE, OTHERS, FOCUS = "a", "with", "b"  # names in the URL, and of the controls with "pick_"
MOST = 5  # runs beside the reference


@dataclass(frozen=True)
class Pairing:
    """The runs side by side.

    Attributes:
        entries: every finished run, latest first.
        reference: what the others are measured against.
        candidates: what the others may be chosen from.
        others: the chosen ones.
        focus: the one whose difference is drawn.
    """

    entries: list[Finished]
    reference: Finished | None = None
    candidates: tuple[Finished, ...] = ()
    others: tuple[Finished, ...] = ()
    focus: Finished | None = None


def pairing() -> Pairing:
    """Return what is chosen, by default the latest full-precision run and its twins."""
    entries = comparing.finished([*store.list_runs(), *state.recordings()])
    by_id = {entry.id: entry for entry in reversed(entries)}
    reference = by_id.get(_asked(REFERENCE)) or comparing.reference_of(entries)
    if reference is None:
        return Pairing(entries)
    candidates = comparing.comparable(entries, reference)
    ids = [entry.id for entry in candidates]
    wanted = [by_id[name] for name in _asked(OTHERS).split(",") if name in ids][:MOST]
    others = wanted or comparing.twins(entries, reference)[:MOST]
    last = next((entry for entry in others if entry.config.policy.startswith("pahq")), None)
    chosen = next((entry for entry in others if entry.id == _asked(FOCUS)), None)
    focus = chosen or last or next(iter(others), None)
    st.session_state["pick_a"] = reference.id
    st.session_state["pick_with"] = [entry.id for entry in others]
    st.session_state["pick_b"] = focus.id if focus else None
    return Pairing(entries, reference, tuple(candidates), tuple(others), focus)


def picked(name: str) -> None:
    """Take over what was chosen in a control; a new reference brings its own twins."""
    value = st.session_state[f"pick_{name}"]
    _ask(name, ",".join(value) if isinstance(value, list) else value or "")
    if name == REFERENCE:
        _ask(OTHERS, "")
        _ask(FOCUS, "")


def _asked(name: str) -> str:
    """Return what the URL names; after a visit to another page, what it named before."""
    kept = f"compare_{name}"
    value = st.query_params.get(name)
    if value is None and st.session_state.get(kept):
        st.query_params[name] = value = st.session_state[kept]
    st.session_state[kept] = value or ""
    return value or ""


def _ask(name: str, value: str) -> None:
    st.session_state[f"compare_{name}"] = value
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


# Runs that are missing --------------------------------------------------------------------------


def settings() -> RunConfig | None:
    """Return the form's settings, for a first comparison; None if they cannot be used."""
    form.seed(next(iter(state.recordings()), None))
    try:
        return form.config()
    except PahqError:
        return None


def settings_words(config: RunConfig | None) -> str:
    """Return a first comparison's settings as the page shows them; the policy is open."""
    if config is None:
        return "Choose a model and a task on page Discover first."
    task, model = comparing.short(config.task), comparing.short(config.model)
    return f"{task} · {model} · τ {config.threshold:g}, as set on page Discover"


def missing(reference: Finished | None) -> tuple[RunConfig, ...]:
    """Return the runs that full precision, uniform and mixed still lack, in this order."""
    base = reference.config if reference else settings()
    if base is None:
        return ()
    device = comparing.device_of(reference) if reference else base.device
    there = [entry.config for entry in comparing.finished(store.list_runs())]
    there += [run.config for run in _in_work()]
    names = comparing.missing(base, there, device=device)
    if reference is None:
        return tuple(base.model_copy(update={"policy": name}) for name in names)
    return tuple(comparing.with_policy(reference, name) for name in names)


def another(reference: Finished) -> RunConfig | None:
    """Return the form's settings if no run has asked their question in all three precisions."""
    config = settings()
    if config is None or comparing.same_question(reference.config, config):
        return None
    return config if missing(None) else None


def run_missing(reference: Finished | None) -> None:
    """Queue what is missing, and show it beside the reference as it is finished.

    Without a reference, the form's settings are run and become what is compared.
    """
    st.session_state.pop("compare_refused", None)
    asked = st.session_state.setdefault("compare_runs", [])
    try:
        for config in missing(reference):
            run = store.create(config)
            state.worker().run(run, Pace())
            asked.append(run.id)
    except PahqError as error:
        st.session_state["compare_refused"] = error.as_dict()
    for name in (OTHERS,) if reference else (REFERENCE, OTHERS, FOCUS):
        _ask(name, "")


def refused() -> dict[str, str] | None:
    """Return why a run could not be queued."""
    return st.session_state.get("compare_refused")


@dataclass(frozen=True)
class Queued:
    """A run that is still to come, or one asked for here that came to nothing."""

    run: RunFolder
    status: Status
    share: float


def queue() -> list[Queued]:
    """Return the runs in work and in the queue, then those asked for here that ended early."""
    working = _in_work()
    asked: list[str] = st.session_state.setdefault("compare_runs", [])
    rest = [run for name in asked if (run := state.find(name)) and run not in working]
    rest = [run for run in rest if not comparing.finished([run])]
    asked[:] = [run.id for run in (*working, *rest) if run.id in asked]
    tails: dict[str, Tail] = st.session_state.get("compare_tails", {})
    tails = {run.id: tails.get(run.id) or Tail(run) for run in (*working, *rest)}
    st.session_state["compare_tails"] = tails
    return [_queued(run, tails[run.id]) for run in (*working, *rest)]


def unfinished() -> tuple[str, ...]:
    """Return the ids of the runs in work and in the queue."""
    return tuple(run.id for run in _in_work())


def _queued(run: RunFolder, tail: Tail) -> Queued:
    tail.read()
    edges = tail.feed.header["edges"] if tail.feed.header else 0
    return Queued(run, state.status(run, tail), tail.feed.decided / edges if edges else 0.0)


def _in_work() -> list[RunFolder]:
    return [RunFolder(Path(job.request["folder"])) for job in state.worker().unfinished()]


def act(what: str, run: RunFolder) -> None:
    """Do what was pressed beside a run: ``stop continue restart resume dismiss``."""
    if what == "stop":
        state.worker().stop(run)
    elif what == "continue":
        state.worker().go_on(run)
    elif what == "restart":
        state.worker().restart(run)
    elif what == "resume":
        state.worker().run(run, Pace())
    else:
        st.session_state["compare_runs"].remove(run.id)
