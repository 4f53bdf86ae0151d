import pytest
from made_logs import sensitivity_record

from pahq.viz.sensitivity import Sensitivity, sensitivity_of


def measured(**costs) -> Sensitivity:
    found = sensitivity_of({"formats": dict.fromkeys(costs, "int8"), "sensitivity": costs})
    assert found is not None
    return found


def test_components_are_compared_in_the_format_of_fewest_bits_that_most_have():
    assert measured(m0={"bf16": 1e-8, "int8": 1e-5}).compared == "int8"
    assert measured(m0={"int4": 1.0, "int8": 0.1}, m1={"int8": 0.2}).compared == "int8"


def test_a_component_without_that_format_shows_its_own_lowest():
    found = measured(m0={"int8": 1e-5}, m1={"int8": 1e-6}, input={"bf16": 1e-8, "fp16": 1e-9})
    assert found.shown("input") == ("bf16", 1e-8)


def test_costs_lie_on_a_log_scale_between_the_smallest_and_the_largest():
    found = measured(m0={"int8": 1e-8}, m1={"int8": 1e-6}, m2={"int8": 1e-4})
    assert found.span == (1e-8, 1e-4)
    assert [found.share(name) for name in ("m0", "m1", "m2")] == pytest.approx([0, 0.5, 1])


def test_a_cost_that_rounds_to_nothing_is_the_least():
    found = measured(m0={"int8": 0.0}, m1={"int8": -1e-12}, m2={"int8": 1e-6}, m3={"int8": 1e-5})
    assert found.span == (1e-6, 1e-5)
    assert found.share("m0") == found.share("m1") == 0.0


def test_where_nothing_costs_anything_nothing_stands_out():
    found = measured(m0={"int8": 0.0}, m1={"int8": 0.0})
    assert found.span == (0.0, 0.0)
    assert found.share("m1") == 0.0


def test_formats_are_listed_with_the_fewest_bits_first():
    assert list(measured(m0={"bf16": 1.0, "int4": 2.0, "int8": 3.0}).costs["m0"]) == [
        "int4", "int8", "bf16",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [
        None, [], {}, {"sensitivity": {}, "formats": {}}, {"sensitivity": {"m0": {}}},
        {"sensitivity": {"m0": {"int8": "much"}}, "formats": {}},
        {"sensitivity": {"m0": {"int8": float("nan")}}, "formats": {}},
        {"sensitivity": {"m0": 3}, "formats": {}},
    ],
)  # fmt: skip
def test_what_holds_no_measurement_is_none(record):
    assert sensitivity_of(record) is None


def test_the_browser_gets_a_place_on_the_scale_for_every_component():
    found = sensitivity_of(sensitivity_record()).as_dict()
    assert found["cells"]["input"][0] == found["compared"] == "int8"
    assert {share for _, _, share in found["cells"].values()} >= {0.0, 1.0}
    assert (found["noise"], found["noise_budget"], found["pairs"]) == (4.2e-5, 1e-3, 50)
