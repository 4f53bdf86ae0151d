"""What to say about the run that is shown. Pure: a run's files and its job in, words out."""

from dataclasses import dataclass
from typing import Any

from pahq import catalog
from pahq.runs.client import Job
from pahq.runs.config import RunConfig
from pahq.runs.state import State
from pahq.viz.feed import Feed


@dataclass(frozen=True)
class Status:
    """The state of a run, ready to be shown.

    Attributes:
        kind: ``empty recording queued loading running paused stopping stopped finished failed
            interrupted stale stuck``; stale: another process does not respond, stuck: our worker.
        title: one or two words.
        detail: the rest of the line.
        error: what, why, fix where something went wrong.
        live: more is coming.
        begun: something was decided, so that there is something to go on from.
    """

    kind: str
    title: str
    detail: str = ""
    error: dict[str, str] | None = None
    live: bool = False
    begun: bool = True


LOADING = {
    "loading": "Loading the model",
    "checking": "Checking that the model is reproduced exactly",
    "searching": "Measuring the first damage",
    "evaluating": "Evaluating the circuit",
}


def status_of(
    feed: Feed, *, state: State | None, job: Job | None, ahead: int = 0, recording: bool = False
) -> Status:
    """Return the state of one run. ``ahead`` runs are computed before it."""
    share = f"{feed.decided / max(feed.header['edges'], 1):.0%}" if feed.header else ""
    if recording:
        return Status("recording", "This is a recording.", "Press Run to compute it yourself.")
    if job is not None and not job.over:
        return _in_work(feed, state, job, ahead, share)
    ending = (feed.ending or {}).get("type")
    error = (feed.ending or {}).get("error") or (job.error if job else None)
    if ending == "run_finished":
        return Status("finished", "Finished", sentence(feed))
    if ending == "run_failed" or error:
        begun = feed.decided > 0
        after = f"after {share}" if begun else "before the first decision"
        return Status("failed", "Failed", after, error, begun=begun)
    if ending == "run_stopped":
        return Status("stopped", "Stopped", partial(feed), begun=feed.decided > 0)
    if state is not None and not state.over:
        if state.stale:
            stuck = {
                "what": "The process that computes this run does not respond.",
                "why": f"process {state.pid} has not written for more than ten seconds",
                "fix": "wait, or end that process and press Resume",
            }
            return Status("stale", "Not responding", share, stuck, live=True)
        return Status("running", "Running", _progress(feed, share), live=True)
    if feed.header is None and state is None:
        return Status("interrupted", "Not begun", "It waits to be run.", begun=False)
    if not feed.decided:
        return Status("interrupted", "Interrupted", "before the first decision", begun=False)
    return Status("interrupted", "Interrupted", f"at {share}; it can be resumed.")


def _in_work(feed: Feed, state: State | None, job: Job, ahead: int, share: str) -> Status:
    if job.phase == "queued" and ahead:
        plural = "s" if ahead > 1 else ""
        return Status("queued", "Queued", f"{ahead} run{plural} before it", live=True)
    if job.phase == "stopping":
        measuring = state is not None and state.phase == "evaluating"
        what = "measuring what is left" if measuring else "finishing the decision in work"
        return Status("stopping", "Stopping", what, live=True)
    if feed.decided == 0 or (state is not None and state.phase == "evaluating"):
        phase = state.phase if state is not None else "queued"
        what = LOADING.get(phase, "Waiting for the worker: it is loading torch")
        return Status("loading", what, (state.detail if state else "") or "", live=True)
    if job.phase == "paused":
        return Status("paused", "Paused", f"at {share}", live=True)
    if job.phase == "running" and state is not None and state.stale:
        stuck = {
            "what": "The worker does not respond.",
            "why": f"process {state.pid} has not written for more than ten seconds",
            "fix": "wait, or press Restart: a new worker goes on from the last decision",
        }
        return Status("stuck", "Not responding", share, stuck, live=True)
    return Status("running", "Running", _progress(feed, share), live=True)


def _progress(feed: Feed, share: str) -> str:
    if feed.header is None or feed.decided == 0:
        return ""
    return f"{where(feed)}, {share}, about {spoken_time(time_left(feed))} left"


def time_left(feed: Feed) -> float:
    """Return the seconds of search left, from the measured rate of tests.

    Most edges fall without a test once nothing needs their receiver. That share is only seen
    late, so half is assumed and gives way to what is measured.
    """
    edges = feed.header["edges"] if feed.header else 0
    tested = max(feed.decided - feed.skipped, 1)
    share = (tested + 0.15 * edges) / (feed.decided + 0.3 * edges)
    return feed.last_t / tested * share * (edges - feed.decided)


def where(feed: Feed) -> str:
    """Return the component that is tested now, in words."""
    for row in reversed(feed.rows):
        if row[0] == "r":
            name = row[1].partition("<")[0]
            if name.startswith("a"):
                layer, head = name[1:].split(".")
                return f"layer {layer} head {head.lstrip('hkv')}"
            return f"MLP of layer {name[1:]}" if name.startswith("m") else name
    return "beginning"


def spoken_time(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def partial(feed: Feed) -> str:
    """Return what a stopped run has come to in one sentence."""
    total = feed.header["edges"] if feed.header else 0
    return (
        f"{feed.decided:,} of {total:,} edges decided, {feed.kept:,} of them kept; "
        f"the {total - feed.decided:,} undecided count as kept too."
    )


def sentence(feed: Feed) -> str:
    """Return the outcome of a finished run in one sentence."""
    summary: dict[str, Any] = (feed.ending or {}).get("summary") or {}
    kept, total = summary.get("edges_kept", feed.kept), summary.get("edges_total", feed.decided)
    text = f"{kept:,} of {total:,} edges kept"
    if "wall_s" in summary:
        text += f" in {spoken_time(summary['wall_s'])}"
    near = summary.get("near_threshold")
    count = len(near) if isinstance(near, list) else near
    return text + (f"; {count} decided within 1e-5 of τ" if count else "")


def settings_line(config: RunConfig) -> str:
    """Return a run's settings as the strip shows them."""
    policy = next((p.title for p in catalog.POLICIES if p.name == config.policy), config.policy)
    task = config.task.rpartition("/")[2]
    model = config.model.rstrip("/").rpartition("/")[2]
    return f"{task} · {model} · {policy} · τ {config.threshold:g}"
