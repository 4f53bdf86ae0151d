import pytest
from made_logs import events

from pahq.discovery.events import (
    EdgeTested,
    FocusChanged,
    ReceiverStarted,
    RunFailed,
    RunFinished,
    RunStarted,
)
from pahq.graph.build import GraphShape
from pahq.viz.view import view_at

SHAPE = GraphShape(n_layers=1, n_heads=1, d_model=4, mlp=False)
START = RunStarted(
    "m", SHAPE.as_dict(), "t", "acdc", "pahq-int8", 0.01, 5, formats={"a0.h0": "int8"}
)
LOG = [
    START,
    ReceiverStarted("logits"),
    FocusChanged("logits", {"logits": "fp32"}, 0.5),
    EdgeTested(0, "a0.h0->logits", 0.3, True, 0.5),
    EdgeTested(1, "input->logits", 0.001, False, 0.501),
    ReceiverStarted("a0.h0<v>"),
    FocusChanged("a0.h0", {"a0.h0": "fp32"}, 0.6),
    EdgeTested(2, "input->a0.h0<v>", 0.2, True, 0.6),
]


def test_there_is_nothing_to_see_before_the_run_starts():
    assert view_at([]) is None


def test_at_step_0_nothing_is_decided_but_the_first_focus_is_known():
    view = view_at(LOG, 0)
    assert (view.step, view.kept, view.focus, view.damage) == (0, (), "logits", 0.5)


def test_at_step_k_exactly_k_decisions_count():
    assert [len(view_at(LOG, k).kept) for k in range(4)] == [0, 1, 1, 2]
    assert view_at(LOG, 2).remaining == 4


def test_the_focus_is_raised_and_the_former_one_becomes_the_trail():
    view = view_at(LOG)
    assert view.formats["a0.h0"] == "fp32"
    assert view.trail == ("logits",)
    assert view.raised == {"logits": 1, "a0.h0": 1}
    assert view_at(LOG, 1).formats["a0.h0"] == "int8"


def test_a_change_of_focus_brings_its_own_damage_before():
    assert view_at(LOG, 2).damage == 0.6  # not 0.501: measured anew under the new plan


def test_a_node_is_in_the_circuit_once_a_kept_edge_leaves_it():
    assert view_at(LOG, 0).in_circuit == {"input", "logits"}
    assert view_at(LOG, 1).in_circuit == {"input", "logits", "a0.h0"}


def test_at_the_end_nothing_is_in_focus_and_formats_are_the_plans():
    view = view_at([*LOG, RunFinished({"edges_kept": 2})])
    assert (view.focus, view.trail, view.formats) == (None, (), {"a0.h0": "int8"})
    assert view.ending == "finished"
    assert view.summary == {"edges_kept": 2}


def test_a_failed_run_says_why():
    view = view_at([*LOG, RunFailed({"what": "a", "why": "b", "fix": "c"})])
    assert view.error["why"] == "b"


@pytest.mark.parametrize("step", [0, 1, 100, 700, 1519])
def test_scrubbing_and_reading_a_cut_log_agree(step):
    log = events()
    decisions = [i for i, event in enumerate(log) if isinstance(event, EdgeTested)]
    cut = log[: decisions[step]] if step < len(decisions) else log
    assert view_at(log, step) == view_at(cut)
