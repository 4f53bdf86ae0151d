import json

import pytest
from made_logs import SMALL, events

from pahq.errors import UsageError
from pahq.viz.figures import circuit_figure, circuit_json, damage_figure, precision_figure
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


def test_a_log_without_a_start_is_refused():
    with pytest.raises(UsageError, match="no picture"):
        circuit_figure([])
