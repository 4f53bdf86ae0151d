import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pahq.discovery.events import EVENTS, EdgeTested, RunFinished, from_record, to_line


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_bit_for_bit(effect):
    event = EdgeTested(3, "input->m0", effect, True, effect)
    assert from_record(json.loads(to_line(event, t=1.0))) == event


def test_a_line_says_its_type_and_its_second():
    line = to_line(EdgeTested(0, "m0->logits", 0.5, True, 0.0), t=0.25)
    record = json.loads(line)
    assert line.endswith("\n")
    assert (record["type"], record["t"], record["edge"]) == ("edge_tested", 0.25, "m0->logits")


def test_an_unknown_field_is_ignored_and_an_unknown_type_is_none():
    record = json.loads(to_line(RunFinished({"edges_kept": 3}), t=0.0))
    assert from_record({**record, "mood": "good"}) == RunFinished({"edges_kept": 3})
    assert from_record({"type": "coffee_break"}) is None


def test_a_missing_field_is_an_error():
    with pytest.raises(ValueError, match="effect"):
        from_record({"type": "edge_tested", "i": 0, "edge": "input->m0"})


def test_every_event_has_a_type_of_its_own():
    assert len(EVENTS) == 8
