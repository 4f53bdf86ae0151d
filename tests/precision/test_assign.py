"""Formats within a budget, where the noise of components simply adds up."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pahq.precision.assign import BITS, FULL, Assignment, assign

LOW = ("int4", "int8", "bf16")


def additive(sensitivity):
    """Return the noise of an assignment where it adds up, exact to the last bit."""

    def measure(formats):
        return math.fsum(sensitivity[name].get(fmt, 0.0) for name, fmt in formats.items())

    return measure


def size_in_bits(formats, sizes):
    return sum(sizes[name] * BITS[fmt] for name, fmt in formats.items())


# Any noise at all: a wider format may even be the noisier one, or nothing may be.
noises = st.one_of(st.just(0.0), st.floats(1e-9, 1.0))
worlds = st.lists(st.sampled_from(LOW), min_size=1, unique=True).flatmap(
    lambda formats: st.lists(
        st.tuples(st.fixed_dictionaries(dict.fromkeys(formats, noises)), st.integers(1, 10**6)),
        min_size=1,
        max_size=8,
    )
)


def taken_apart(world):
    sensitivity = {f"a0.h{i}": each for i, (each, _) in enumerate(world)}
    return sensitivity, {f"a0.h{i}": size for i, (_, size) in enumerate(world)}


@given(worlds, st.floats(1e-12, 10.0))
def test_the_budget_is_always_met(world, budget):
    sensitivity, sizes = taken_apart(world)
    formats, noise = assign(sensitivity, sizes, budget, additive(sensitivity))
    assert noise == additive(sensitivity)(formats) <= budget
    assert formats.keys() == sensitivity.keys()
    assert all(fmt in {*sensitivity[name], FULL} for name, fmt in formats.items())


@given(worlds)
def test_a_huge_budget_gives_the_lowest_format_everywhere(world):
    sensitivity, sizes = taken_apart(world)
    formats, _ = assign(sensitivity, sizes, 1e6, additive(sensitivity))
    for name, fmt in formats.items():
        assert BITS[fmt] == min(BITS[other] for other in sensitivity[name])


@given(worlds, st.floats(1e-12, 10.0))
def test_what_meets_the_budget_as_it_is_is_not_raised(world, budget):
    sensitivity, sizes = taken_apart(world)
    lowest = {name: min(each, key=BITS.__getitem__) for name, each in sensitivity.items()}
    formats, _ = assign(sensitivity, sizes, budget, additive(sensitivity))
    assert (formats == lowest) == (additive(sensitivity)(lowest) <= budget)


@given(worlds)
def test_a_budget_below_everything_leaves_no_noise(world):
    sensitivity, sizes = taken_apart(world)
    formats, noise = assign(sensitivity, sizes, 1e-10, additive(sensitivity))
    assert noise == 0.0
    for name, fmt in formats.items():
        assert fmt == FULL or sensitivity[name][fmt] == 0.0


@given(worlds, st.floats(1e-12, 10.0), st.floats(1.0, 1000.0))
def test_a_larger_budget_never_takes_more_bits(world, budget, times):
    sensitivity, sizes = taken_apart(world)
    measure = additive(sensitivity)
    small, large = (assign(sensitivity, sizes, b, measure)[0] for b in (budget, times * budget))
    assert size_in_bits(large, sizes) <= size_in_bits(small, sizes)


@given(worlds, st.floats(1e-12, 10.0))
def test_noise_that_does_not_add_up_meets_the_budget_too(world, budget):
    sensitivity, sizes = taken_apart(world)

    def measure(formats):  # two of three components lowered are worse than all
        lowered = sum(fmt != FULL for fmt in formats.values())
        return additive(sensitivity)(formats) * (1 + lowered % 3)

    formats, noise = assign(sensitivity, sizes, budget, measure)
    assert noise == measure(formats) <= budget


def test_where_errors_cancel_the_fewest_bytes_are_still_found():
    """Two components round against each other: raising one alone makes the whole noisier."""
    sensitivity = {"a0.h0": {"int8": 1.0}, "a0.h1": {"int8": 2.0}}

    def measure(formats):
        lowered = [name for name, fmt in formats.items() if fmt != FULL]
        return 0.5 if len(lowered) == 2 else additive(sensitivity)(formats)

    formats, noise = assign(sensitivity, dict.fromkeys(sensitivity, 7), 0.9, measure)
    assert (set(formats.values()), noise) == ({"int8"}, 0.5)


def test_what_saves_most_noise_for_each_bit_is_raised_first():
    sensitivity = {
        "a0.h0": {"int8": 4.0, "bf16": 1.0},
        "a0.h1": {"int8": 3.0, "bf16": 2.9},  # only FP32 helps it
        "m0": {"int8": 5.0, "bf16": 0.5},  # ten times as large
    }
    sizes, measure = {"a0.h0": 8, "a0.h1": 8, "m0": 80}, additive(sensitivity)

    def found(budget):
        return assign(sensitivity, sizes, budget, measure)

    assert found(12.0) == ({"a0.h0": "int8", "a0.h1": "int8", "m0": "int8"}, 12.0)
    assert found(9.0) == ({"a0.h0": "bf16", "a0.h1": "int8", "m0": "int8"}, 9.0)
    assert found(6.0) == ({"a0.h0": "bf16", "a0.h1": "fp32", "m0": "int8"}, 6.0)
    assert found(1.5) == ({"a0.h0": "fp32", "a0.h1": "fp32", "m0": "bf16"}, 0.5)
    assert found(0.1) == ({"a0.h0": "fp32", "a0.h1": "fp32", "m0": "fp32"}, 0.0)


def test_few_assignments_are_measured():
    sensitivity = {f"a{i}.h0": {"int8": 1.0 + i, "bf16": 0.1} for i in range(500)}
    sizes, asked = dict.fromkeys(sensitivity, 7), []

    def measure(formats):
        asked.append(formats)
        return additive(sensitivity)(formats)

    assign(sensitivity, sizes, 100.0, measure)
    # The first of 1001 prefixes, the other thousand halved each time, and the one that is taken.
    assert len(asked) <= 1 + math.ceil(math.log2(1000)) + 1


def test_an_assignment_is_written_with_its_unit():
    found = Assignment({"m0": "int8"}, 0.25, 0.5, {"m0": {"int8": 0.25, "bf16": 0.0}}, pairs=8)
    written = json.loads(json.dumps(found.as_dict()))
    assert written == {
        "unit": "nats",
        "noise_budget": 0.5,
        "noise": 0.25,
        "pairs": 8,
        "formats": {"m0": "int8"},
        "sensitivity": {"m0": {"int8": 0.25, "bf16": 0.0}},
    }
    with pytest.raises(AttributeError):
        found.noise = 0.0
