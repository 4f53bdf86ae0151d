"""What the page remembers: session state, the URL and the one worker. Nothing else touches them."""

import contextlib
import gc
import os
import re
from typing import Any

import psutil
import streamlit as st

import choices
from live import Tail
from pahq import catalog
from pahq.errors import PahqError, UsageError
from pahq.paths import recordings_dir, runs_dir
from pahq.runs import store
from pahq.runs.client import SESSION, Job, WorkerClient
from pahq.runs.config import RunConfig, check_threshold, knobs, make_config
from pahq.runs.pace import Pace
from pahq.runs.store import RunFolder
from pahq.tasks.source import USUAL_COUNT
from status import Status, status_of

SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # a run's id is a name, never a path
SPECIAL = ("model", "task", "threshold", "policy")  # knobs with a control of their own
DEFAULTS: dict[str, Any] = {
    "model": "tiny-gpt", "model_path": "", "task": "ioi", "task_path": "", "policy": "pahq-int8",
    "policy_more": "", "tau": "0.01", "tau_slider": 0.01, "pace": "watch",
}  # fmt: skip
OF_THE_MACHINE = ("threads", "batch_size", "memory_limit")  # not taken over from another run
WITHOUT_A_CHECK = ("threshold", "order", "absolute", "method", "memory_limit", "batch_size")


@st.cache_resource(show_spinner=False)
def worker() -> WorkerClient:
    """Return the server's one worker; the first page that is opened starts it."""
    gc.freeze()  # Streamlit collects after every tick; what is loaded by now need not be looked at
    return WorkerClient(session=os.environ.get("PAHQ_SESSION", SESSION))


# Settings ---------------------------------------------------------------------------------------


def seed() -> None:
    """Fill the form once a session: from the URL, else from the run on screen, else by default."""
    if "seeded" in st.session_state:
        return
    st.session_state["seeded"] = True
    values = dict(DEFAULTS)
    values |= {f"knob_{name}": field.default for name, field in advanced().items()}
    run = shown()
    if run is not None:
        with contextlib.suppress(UsageError):
            values |= _from_config(run.config)
    for name, text in st.query_params.items():
        values |= _from_url(name, text)
    for key, value in values.items():
        st.session_state.setdefault(key, value)


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
    try:
        value = check_threshold(st.session_state["tau"])
    except UsageError:
        return
    st.session_state["tau_slider"] = _tau(value)["tau_slider"]


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


def config() -> RunConfig:
    """Return the form as a checked config.

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
    return make_config(threshold=setting("tau"), **settings)


def pace() -> Pace:
    """Return how fast decisions are to be made."""
    return choices.PACES[setting("pace")][1]


# Runs -------------------------------------------------------------------------------------------


def recordings() -> list[RunFolder]:
    """Return the recorded runs: those of this user, then the shipped ones."""
    found: list[RunFolder] = []
    for base in (runs_dir().parent / "recordings", recordings_dir()):
        if base.is_dir():
            paths = sorted(p for p in base.iterdir() if (p / "config.json").is_file())
            found += [RunFolder(path) for path in paths]
    return found


def find(name: str | None) -> RunFolder | None:
    """Return the run or recording of this id, or None."""
    if not name or not SAFE_ID.fullmatch(name):
        return None
    own = runs_dir() / name
    if (own / "config.json").is_file():
        return RunFolder(own)
    return next((run for run in recordings() if run.id == name), None)


def shown() -> RunFolder | None:
    """Return the run on screen: that of the URL, else one in work, else the first recording."""
    run = find(st.query_params.get("run"))
    if run is not None:
        return run
    working = worker().unfinished()
    run = find(os.path.basename(working[0].request["folder"])) if working else None
    if run is not None:
        st.query_params["run"] = run.id  # stays on screen when it ends
        return run
    return next(iter(recordings()), None)


def is_recording(run: RunFolder) -> bool:
    """Return whether the run was recorded, not computed here."""
    return run.path.parent.name == "recordings"


def start() -> None:
    """Start a run with the form's settings and show it; refuse with the reason."""
    st.session_state.pop("refused", None)
    try:
        run = store.create(config())
    except PahqError as error:
        st.session_state["refused"] = error.as_dict()
        return
    worker().run(run, pace())
    show(run)


def refused() -> dict[str, str] | None:
    """Return why the last Run was refused."""
    return st.session_state.get("refused")


def act(what: str) -> None:
    """Do what was pressed in the strip: ``compute pause continue stop resume``."""
    run, client = shown(), worker()
    if run is None:
        return
    if what == "compute":
        start()
    elif what == "resume":
        client.run(run, pace())
        st.session_state.pop("tail", None)
    else:
        {"pause": client.pause, "continue": client.go_on, "stop": client.stop}[what](run)


def show(run: RunFolder) -> None:
    """Put a run on screen."""
    for name in ("node", "edge", "step"):
        st.query_params.pop(name, None)
    st.query_params["run"] = run.id


def job(run: RunFolder) -> Job | None:
    """Return this server's job of a run."""
    return worker().job_of(run)


def status(run: RunFolder | None, tail: Tail | None) -> Status:
    """Return what to say about a run."""
    if run is None or tail is None:
        return Status("empty", "Nothing to show yet", "Press Run to find a circuit.")
    ahead = [j.request["folder"] for j in worker().unfinished()]
    place = ahead.index(str(run.path)) if str(run.path) in ahead else 0
    return status_of(
        tail.feed, state=run.state, job=job(run), ahead=place, recording=is_recording(run)
    )


def memory(run: RunFolder) -> int | None:
    """Return the bytes that the process of a run in work holds."""
    state = run.state
    if state is None or state.over:
        return None
    try:
        return psutil.Process(state.pid).memory_info().rss
    except psutil.Error:
        return None


def tail(run: RunFolder) -> Tail:
    """Return this session's place in the run's log, read up to now."""
    found = st.session_state.get("tail")
    if found is None or found.folder != run:
        found = st.session_state["tail"] = Tail(run)
    found.read()
    return found


def present() -> Status:
    """Return the state of the run on screen, read up to now."""
    run = shown()
    return status(run, tail(run) if run else None)


def noted(what: str, now: Any) -> Any:
    """Note a fact for ``turned``, and return it."""
    st.session_state[f"was_{what}"] = now
    return now


def turned(what: str, now: Any) -> bool:
    """Return whether a fact is no longer what was noted."""
    before = st.session_state.get(f"was_{what}", now)
    return before != noted(what, now)


def tell(news: str) -> None:
    """Leave word for the next full run of the page."""
    st.session_state["news"] = news


def news() -> str | None:
    """Return what happened since the last full run of the page, once."""
    return st.session_state.pop("news", None)


# What the reader looks at -----------------------------------------------------------------------


def looked(key: str) -> None:
    """Copy what the reader selected in the picture to the URL."""
    look = (st.session_state.get(key) or {}).get("look") or {}
    if look.get("run") != st.query_params.get("run", look.get("run")):
        return
    for name in ("node", "edge", "step"):
        value = look.get(name)
        if value is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = str(value)


def resync() -> None:
    """Send the whole log again: the browser has lost rows."""
    if "tail" in st.session_state:
        st.session_state["tail"].resync()


def initial_look() -> dict[str, Any]:
    """Return what the URL asks to be selected."""
    found: dict[str, Any] = {}
    node = st.query_params.get("node", "")
    if re.fullmatch(r"(a\d+\.h\d+|m\d+|input|logits)", node):
        found["node"] = node
    for name in ("edge", "step"):
        if st.query_params.get(name, "").isdecimal():
            found[name] = int(st.query_params[name])
    return found


def write_url() -> None:
    """Keep the settings in the URL, so that it can be bookmarked."""
    settings = {"model": setting("model"), "task": setting("task"), "tau": setting("tau")}
    settings["policy"] = chosen("policy")
    for name, value in settings.items():
        if str(value) != str(DEFAULTS[name]) and value:
            st.query_params[name] = str(value)
        else:
            st.query_params.pop(name, None)


# The check before a search ----------------------------------------------------------------------


def _to_check() -> RunConfig | None:
    try:
        settings = config()
    except PahqError:
        return None
    return settings if choices.model_facts(settings.model).ready else None


def _check_key(settings: RunConfig) -> str:
    return settings.model_dump_json(exclude=set(WITHOUT_A_CHECK))


def check() -> Job | None:
    """Return the check of the present settings; ask for it once, while the worker is free."""
    settings = _to_check()
    if settings is None:
        return None
    checks: dict[str, Job] = st.session_state.setdefault("checks", {})
    key = _check_key(settings)
    if key not in checks and worker().ready and not worker().busy:
        checks[key] = worker().check(settings)
    return checks.get(key)


def check_pending() -> bool:
    """Return whether something new about the check is still to come."""
    if worker().problem is not None:
        return False
    settings = _to_check()
    job = st.session_state.get("checks", {}).get(_check_key(settings)) if settings else None
    return not worker().ready or (settings is not None and (job is None or not job.over))
