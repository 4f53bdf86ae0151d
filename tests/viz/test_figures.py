import json

import pytest
from made_logs import SMALL, TINY, events, sensitivity_record

from pahq.errors import UsageError
from pahq.viz.figures import (
    circuit_figure,
    circuit_json,
    damage_figure,
    precision_figure,
    sensitivity_figure,
)
from pahq.viz.view import view_at


@pytest.fixture(scope="module")
def log():
    return events()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_figure_is_accepted_by_plotly_and_becomes_json(log, theme):
    for figure in (
        circuit_figure(log, theme=theme),
        precision_figure(log, theme=theme),
        damage_figure(log, theme=theme),
        sensitivity_figure(sensitivity_record(), TINY, theme=theme),
    ):
        assert json.loads(figure.to_json())["data"]


def test_colours_do_not_come_from_the_template_that_streamlit_sets(log):
    layout = circuit_figure(log).layout
    assert layout.paper_bgcolor == "#ffffff"
    assert layout.font.color == "#16202b"


def test_one_point_carries_the_words_of_each_kept_edge(log):
    view = view_at(log)
    handles = circuit_json(view)["data"][-2]
    assert len(handles["text"]) == len(view.kept)
    assert any("a" in text and "&lt;q&gt;" in text for text in handles["text"])


def test_draws_the_strongest_edges_only_and_says_so():
    view = view_at(events(shape=SMALL))
    figure = circuit_json(view, budget=100)
    assert len(figure["data"][-2]["text"]) == 100
    assert f"100 strongest of {len(view.kept):,}" in figure["layout"]["title"]["text"]


def test_letters_of_the_precision_map_are_bits(log):
    letters = precision_figure(log).data[0].text
    assert sorted(set(letters)) == ["32", "8"]  # input stays FP32


def test_sensitivity_goes_from_the_cheapest_to_the_costliest_component():
    squares, scale = sensitivity_figure(sensitivity_record(), TINY).data
    words = dict(zip((w.partition(":")[0] for w in squares.customdata), range(38), strict=True))
    first, last = words["input"], words["logits"]
    assert (squares.marker.color[first], squares.marker.color[last]) == ("#fee838", "#00224e")
    assert (squares.text[first], squares.text[last]) == ("8", "16")
    assert squares.customdata[last] == "logits: int8 costs 1e-05 nats, bf16 1e-07; assigned bf16"
    ticks = scale.marker.colorbar
    assert (ticks.ticktext[0], ticks.ticktext[-1]) == ("1e-08", "1e-05")
    assert "1e-06" in ticks.ticktext


def test_a_sensitivity_that_is_the_same_everywhere_has_one_tick():
    record = {"formats": {}, "sensitivity": {"m0": {"int8": 0.5}, "m1": {"int8": 0.5}}}
    scale = sensitivity_figure(record, TINY).data[1]
    assert scale.marker.colorbar.ticktext == ("0.5",)


def test_a_record_without_a_measurement_is_refused():
    with pytest.raises(UsageError, match="no sensitivity"):
        sensitivity_figure({"sensitivity": {}}, TINY)


def test_a_log_without_a_start_is_refused():
    with pytest.raises(UsageError, match="no picture"):
        circuit_figure([])
