"""What is known before a search: can the model do the task, and what will it cost."""

from collections.abc import Callable

import streamlit as st

from components.strip import explain, note
from pahq.runs.client import Job
from status import spoken_time

SHARE_TESTED = 0.5  # of all edges; the rest usually falls with a receiver that nothing needs


def preflight(
    job: Job | None,
    *,
    problem: dict[str, str] | None,
    ready: bool,
    said: bool,
    on_again: Callable[[], None],
) -> None:
    """Draw one line, or a warning where the circuit would mean nothing.

    Args:
        job: the check.
        problem: why there is no worker.
        ready: the worker can be asked.
        said: why a run cannot begin stands on the page already.
        on_again: called when the check is to be made anew.
    """
    if problem is not None:
        explain(problem)
    elif not ready:
        note("wait", "The worker is loading torch …")
    elif job is None:
        note("idle", "")
    elif not job.over:
        note("wait", "Checking that the model can do this …")
    elif job.error:
        if not said:
            explain(job.error)
        st.button("Check again", key="again", type="tertiary", on_click=on_again)
    elif job.result:
        _result(job.result)


def _result(result: dict) -> None:
    accuracy, count = result.get("task_score"), result.get("examples")
    of = f" of {count} prompts" if count else ""
    right = f"right on {accuracy:.0%}{of}" if accuracy is not None else "checked"
    cost = ""
    if result.get("edges"):
        cost = f" · {result['edges']:,} edges"
        if seconds := result.get("seconds_per_test"):
            cost += f", about {spoken_time(seconds * result['edges'] * SHARE_TESTED)}"
        if peak := result.get("resident_bytes"):
            cost += f", {peak / 1e6:,.0f} MB"
    if result.get("warning"):
        note("warn", str(result["warning"]))
    note("good" if not result.get("warning") else "idle", f"The model is {right}{cost}")
