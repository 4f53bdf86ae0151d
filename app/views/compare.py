"""Page Compare: full precision, uniform low precision and PAHQ on the same settings."""

import streamlit as st

import comparing
import pairing
import panels
import state
from columns import Row
from comparing import Finished
from components.compare_picker import another, picker, which_difference
from components.compare_queue import Coming, compare_queue
from components.compare_table import compare_table
from components.compare_words import alone, nothing, says
from components.comparison import pictures
from components.strip import explain
from pahq.errors import PahqError
from pairing import Pairing
from status import settings_line

TICK = 0.7  # seconds between looks at runs in work


def coming() -> None:
    """Draw the runs that are still to come; called again and again while there are any."""
    queue = pairing.queue()
    runs = {entry.run.id: entry.run for entry in queue}
    lines = [Coming(e.run.id, settings_line(e.run.config), e.status, e.share) for e in queue]
    compare_queue(lines, on_press=lambda what, name: pairing.act(what, runs[name]))
    if state.turned("coming", pairing.unfinished()):
        state.draw_anew()


def empty() -> None:
    """Draw what stands here before the first run is finished."""
    settings = pairing.settings()
    missing = pairing.missing(None)
    nothing(
        pairing.settings_words(settings),
        coming=bool(pairing.unfinished()),
        on_run=(lambda: pairing.run_missing(None)) if missing else None,
    )


def compared(reference: Finished, others: tuple[Finished, ...]) -> list[Row]:
    """Return the table's rows, the reference first; say which run cannot be compared."""
    rows = [Row(reference)]
    for other in others:
        try:
            comparison = comparing.compared(reference.run, other.run)
        except PahqError as error:
            explain(error.as_dict())
            continue
        rows.append(Row(other, comparison, comparing.elsewhere(reference, other)))
    return rows


def side_by_side(pair: Pairing, reference: Finished) -> None:
    """Draw sentences, table and pictures."""
    with st.spinner("Reading the runs …"):
        rows = compared(reference, pair.others)
        seen = {row.entry.id: comparing.seen(row.entry.run) for row in rows}
    found = [(row.entry, row.comparison) for row in rows if row.comparison]
    says(
        [(entry.policy, comparison.sentence) for entry, comparison in found],
        [text for row in rows[1:] if (text := comparing.notice(reference, row.entry))],
    )
    compare_table(rows)
    if not found:
        alone(coming=bool(pairing.unfinished()))
    drawn = [(row.entry, look) for row in rows if (look := seen[row.entry.id])]
    opened = pictures(panels.multiples(drawn), key="multiples") if drawn else None
    focus = next(((e, c) for e, c in found if pair.focus and e.id == pair.focus.id), None)
    if focus and (a := seen[reference.id]) and (b := seen[focus[0].id]):
        which_difference([entry for entry, _ in found], on_pick=pairing.picked)
        data = panels.difference((reference, a), (focus[0], b), focus[1])
        pictures(data, key="difference")
    if opened:
        st.switch_page("views/discover.py", query_params={"run": opened})


pair = pairing.pairing()
st.fragment(coming, run_every=TICK if state.noted("coming", pairing.unfinished()) else None)()
if problem := pairing.refused():
    explain(problem)
if pair.reference is None:
    empty()
else:
    picker(
        pair.entries,
        pair.candidates,
        pair.reference,
        [comparing.policy_title(config.policy) for config in pairing.missing(pair.reference)],
        most=pairing.MOST,
        on_pick=pairing.picked,
        on_run=lambda: pairing.run_missing(pair.reference),
    )
    if other := pairing.another(pair.reference):
        another(pairing.settings_words(other), on_run=lambda: pairing.run_missing(None))
    side_by_side(pair, pair.reference)
