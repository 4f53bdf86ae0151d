"""What the page remembers of runs: session state, the URL and the one worker.

Only this module, form.py and pairing.py touch session state and the URL.
"""

import gc
import os
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil
import streamlit as st

import choices
import form
from forecast import Forecast, forecast
from live import Load, Tail
from pahq.errors import PahqError
from pahq.paths import recordings_dir, runs_dir
from pahq.runs import store
from pahq.runs.client import SESSION, Job, WorkerClient
from pahq.runs.config import RunConfig
from pahq.runs.store import RunFolder
from status import Status, status_of

SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # a run's id is a name, never a path
NODE = r"(a\d+\.h\d+|m\d+|input|logits)"
NODES = re.compile(rf"{NODE}(,{NODE})*")
VIEW = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")  # words of look.js; it passes over strange ones
LOG_LINES = 60
WITHOUT_A_CHECK = ("threshold", "order", "absolute", "method", "memory_limit", "batch_size")


@st.cache_resource(show_spinner=False)
def worker() -> WorkerClient:
    """Return the server's one worker; the first page that is opened starts it."""
    gc.freeze()  # Streamlit collects after every tick; what is loaded by now need not be looked at
    return WorkerClient(session=os.environ.get("PAHQ_SESSION", SESSION))


# Runs -------------------------------------------------------------------------------------------


def recordings() -> list[RunFolder]:
    """Return the recorded runs: those of this user, then the shipped ones."""
    found: list[RunFolder] = []
    for base in (runs_dir().parent / "recordings", recordings_dir()):
        if base.is_dir():
            paths = sorted(p for p in base.iterdir() if (p / "config.json").is_file())
            found += [RunFolder(path) for path in paths]
    return found


def every_run() -> list[RunFolder]:
    """Return this user's runs, newest first, then the recorded ones."""
    return [*store.list_runs(), *recordings()]


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
        run = store.create(form.config())
    except PahqError as error:
        st.session_state["refused"] = error.as_dict()
        return
    worker().run(run, form.pace())
    show(run)


def expected() -> Forecast | None:
    """Return what an earlier run says about the form's threshold."""
    try:
        settings = form.config()
    except PahqError:
        return None
    return forecast(settings, every_run())


def hindrance() -> dict[str, str] | None:
    """Return why a run of these settings cannot begin, as far as that is known before it does."""
    try:
        settings = form.config()
    except PahqError as error:
        return error.as_dict()
    facts = choices.model_facts(settings.model)
    if not facts.ready and not facts.downloadable:
        return {
            "what": facts.notice or f"{settings.model} is not there.",
            "why": "a run begins by loading the model",
            "fix": "choose another model, or mend its path",
        }
    seed, stamp = settings.seed, choices.file_stamp(settings.task)
    card = choices.task_card(settings.task, settings.model, seed, stamp)
    if card.problem and not card.borrowed:
        return card.problem
    found = check()
    return found.error if found is not None and not found.died else None


def refused() -> dict[str, str] | None:
    """Return why the last Run was refused."""
    return st.session_state.get("refused")


def act(what: str) -> None:
    """Do what was pressed in the strip.

    One of ``compute resume again pause continue step stop restart dismiss``.
    """
    run, client = shown(), worker()
    if run is None:
        return
    if what == "compute":
        start()
    elif what in ("resume", "again"):
        client.run(run, form.pace())
        for name in ("tail", "dismissed"):
            st.session_state.pop(name, None)
    elif what == "dismiss":
        st.session_state["dismissed"] = run.id
    else:
        {
            "pause": client.pause,
            "continue": client.go_on,
            "step": client.step,
            "stop": client.stop,
            "restart": client.restart,
        }[what](run)


def show(run: RunFolder) -> None:
    """Put a run on screen. Selected nodes stay selected where the model has them too."""
    before = shown()
    same = before is not None and _model(before) == _model(run)
    for name in ("edge", "step") if same else ("node", "edge", "step"):
        st.query_params.pop(name, None)
    st.query_params["run"] = run.id


def _model(run: RunFolder) -> str | None:
    try:
        return run.config.model
    except PahqError:
        return None


def try_threshold(key: str) -> None:
    """Run again what is on screen, with the threshold that the picture proposed."""
    value, run = (st.session_state.get(key) or {}).get("threshold"), shown()
    if run is not None and isinstance(value, int | float) and value > 0:
        form.take(run.config, threshold=float(value))
        start()


def worker_log() -> str:
    """Return the last lines that the worker's process wrote."""
    path = worker().log
    return (
        "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:])
        if path.exists()
        else ""
    )


def job(run: RunFolder) -> Job | None:
    """Return this server's job of a run."""
    return worker().job_of(run)


def status(run: RunFolder | None, tail: Tail | None) -> Status:
    """Return what to say about a run."""
    if run is None or tail is None:
        return Status("empty", "Nothing to show yet", "Press Run to find a circuit.")
    ahead = [j.request["folder"] for j in worker().unfinished()]
    place = ahead.index(str(run.path)) if str(run.path) in ahead else 0
    found = status_of(
        tail.feed, state=run.state, job=job(run), ahead=place, recording=is_recording(run)
    )
    read = found.error and not found.live and st.session_state.get("dismissed") == run.id
    return replace(found, error=None) if read else found


def memory(run: RunFolder) -> dict[str, int | None]:
    """Return the bytes that the process of a run in work holds, and the most that it held."""
    state = run.state
    held = None
    if state is not None and not state.over:
        with suppress(psutil.Error):
            held = psutil.Process(state.pid).memory_info().rss
    return {"memory": held, "peak": state.peak_bytes if state is not None else None}


def tail(run: RunFolder) -> Tail:
    """Return this session's place in the run's log, read up to now."""
    found = st.session_state.get("tail")
    if found is None or found.folder != run:
        found = st.session_state["tail"] = Tail(run, every_run)
    found.read()
    return found


def load() -> Load:
    """Return how much work a look at the run on screen is, here and in the browser."""
    return st.session_state.setdefault("load", Load())


def drawn(key: str) -> None:
    """Note what the browser says about its drawing."""
    load().browser = int((st.session_state.get(key) or {}).get("cost") or 0)


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
    for name in ("node", "edge", "step", "view"):
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
    for name, form_of in (("node", NODES), ("view", VIEW)):
        if form_of.fullmatch(st.query_params.get(name, "")):
            found[name] = st.query_params[name]
    for name in ("edge", "step"):
        if st.query_params.get(name, "").isdecimal():
            found[name] = int(st.query_params[name])
    return found


# The check before a search ----------------------------------------------------------------------


def _to_check() -> RunConfig | None:
    try:  # whether the model can do the task does not wait for a threshold
        settings = form.config(threshold=form.threshold() or form.DEFAULTS["tau"])
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


def check_again() -> None:
    """Ask anew: a file was mended, or memory has become free."""
    settings = _to_check()
    if settings is not None:
        st.session_state.get("checks", {}).pop(_check_key(settings), None)


def check_pending() -> bool:
    """Return whether something new about the check is still to come."""
    if worker().problem is not None:
        return False
    settings = _to_check()
    job = st.session_state.get("checks", {}).get(_check_key(settings)) if settings else None
    return not worker().ready or (settings is not None and (job is None or not job.over))


def draw_anew() -> None:
    """Run the page from the top, unless the reader has asked for something by now.

    ``st.rerun`` asks for the present page in the name of the newest request: a press on another
    page's link that was still waiting would be lost. Any element lets what waits go first.
    """
    st.empty()
    st.rerun()
