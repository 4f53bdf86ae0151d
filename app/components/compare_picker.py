"""Which runs stand side by side: the reference, the others, and those that are missing."""

from collections.abc import Callable, Sequence

import streamlit as st

from comparing import Finished, differences_in_brief

HELP = {
    "a": "What the others are measured against. By default the latest full-precision run.",
    "with": "By default the latest run of each other policy with the settings of A.",
    "run": "Queues full precision, uniform low precision and PAHQ with the settings of A, as far "
    "as they are missing. The page fills as they finish.",
}


def picker(
    entries: Sequence[Finished],
    candidates: Sequence[Finished],
    reference: Finished,
    missing: Sequence[str],
    *,
    most: int,
    on_pick: Callable[[str], None],
    on_run: Callable[[], None],
) -> None:
    """Draw the controls; their values are in session state under ``pick_a`` and ``pick_with``."""
    labels = {entry.id: entry.label for entry in entries}
    brief = {e.id: f"{e.policy}{differences_in_brief(reference, e)} · {e.when}" for e in candidates}
    with st.container(key="picker"):
        a, others, run = st.columns([1.25, 1.6, 0.62], vertical_alignment="bottom")
        a.selectbox(
            "Reference A", list(labels), key="pick_a", help=HELP["a"],
            format_func=labels.__getitem__, on_change=on_pick, args=("a",),
        )  # fmt: skip
        others.multiselect(
            "Compared with A", list(brief), key="pick_with", help=HELP["with"],
            format_func=brief.__getitem__, max_selections=most,
            placeholder="No other run yet" if not brief else "Choose runs",
            on_change=on_pick, args=("with",),
        )  # fmt: skip
        words = (
            f"{HELP['run']} Missing: {', '.join(missing)}." if missing else "All three are here."
        )
        run.button(
            "Run the missing ones", key="run-missing", icon=":material/playlist_play:",
            type="primary" if missing else "secondary", width="stretch", disabled=not missing,
            help=words, on_click=on_run,
        )  # fmt: skip


def another(settings: str, *, on_run: Callable[[], None]) -> None:
    """Offer to compare with the settings of page Discover, where they are others."""
    st.button(
        f"Compare {settings} instead", key="run-others", type="tertiary",
        icon=":material/playlist_add:", on_click=on_run,
        help="Queues full precision, uniform low precision and PAHQ, as far as they are missing.",
    )  # fmt: skip


def which_difference(others: Sequence[Finished], *, on_pick: Callable[[str], None]) -> None:
    """Draw the choice of the run whose difference from A is drawn (``pick_b``)."""
    twice = len({entry.policy for entry in others}) < len(others)
    labels = {e.id: f"{e.policy} · {e.when}" if twice else e.policy for e in others}
    st.segmented_control(
        "Difference between A and", list(labels), key="pick_b", required=True,
        format_func=labels.__getitem__, on_change=on_pick, args=("b",),
    )  # fmt: skip
