"""What is known before a search: can the model do the task, and what will it cost."""

from html import escape

import streamlit as st

from components.strip import capital
from pahq.runs.client import Job
from status import spoken_time

SHARE_TESTED = 0.5  # of all edges; the rest usually falls with a receiver that nothing needs


def preflight(job: Job | None, *, problem: dict[str, str] | None, ready: bool) -> None:
    """Draw one line, or a warning where the circuit would mean nothing."""
    if problem is not None:
        _line("bad", f"{problem['what']} {capital(problem['fix'])}.")
    elif not ready:
        _line("wait", "The worker is loading torch …")
    elif job is None:
        _line("idle", "")
    elif not job.over:
        _line("wait", "Checking that the model can do this …")
    elif job.error:
        _line("bad", f"{job.error['what']} {capital(job.error['fix'])}.")
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
        _line("warn", str(result["warning"]))
    _line("good" if not result.get("warning") else "idle", f"The model is {right}{cost}")


def _line(kind: str, text: str) -> None:
    st.html(f'<p class="preflight" data-kind="{kind}">{escape(text)}</p>')
