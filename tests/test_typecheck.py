"""A remembered check refuses what a check of every call would."""

import inspect

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from tests.typecheck import kind_of, remembering


@remembering()
def total(
    x: Float[Tensor, "rows width"], weight: Float[Tensor, " width"]
) -> Float[Tensor, " rows"]:
    return (x @ weight)[:2]


@remembering()
def names(of: list[str], more: tuple[str, ...] = ()) -> str | int:
    return "".join((*of, *more)) or 0


def test_each_argument_alone_and_all_together_are_checked_after_a_call_that_passed():
    total(torch.ones(2, 3), torch.ones(3))
    for wrong in (
        (torch.ones(2, 3), torch.ones(4)),
        (torch.ones(2, 3), torch.ones(3, 1)),
        (torch.ones(2, 3).int(), torch.ones(3)),
        (torch.ones(2, 3), [1.0, 1.0, 1.0]),
    ):
        with pytest.raises(TypeCheckError):
            total(*wrong)
    assert total(torch.ones(2, 3), weight=torch.ones(3)).tolist() == [3.0, 3.0]


def test_a_result_is_checked_with_the_arguments():
    total(torch.ones(2, 3), torch.ones(3))
    with pytest.raises(TypeCheckError):
        total(torch.ones(5, 3), torch.ones(3))  # gives two rows of five


def test_a_result_of_another_kind_is_checked_after_a_call_that_passed():
    @remembering()
    def number(of: int) -> int:
        return of if of < 3 else str(of)  # pyright: ignore

    assert (number(1), number(2)) == (1, 2)
    with pytest.raises(TypeCheckError):
        number(3)


def test_the_functions_of_the_package_have_a_memory():
    from pahq.engine.components import normalise

    assert inspect.getsourcefile(normalise.__code__) == inspect.getsourcefile(remembering)


def test_a_call_that_was_refused_is_refused_again():
    for _ in range(2):
        with pytest.raises(TypeCheckError):
            total(torch.ones(3), torch.ones(3))


def test_what_a_container_holds_is_checked_each_time():
    assert names(["a"], ("b",)) == "ab"
    for wrong in (([1],), (["a"], (1,)), (["a"], ["b"])):
        with pytest.raises(TypeCheckError):
            names(*wrong)


def test_equal_kinds_are_those_that_no_annotation_tells_apart():
    from pahq.precision.formats import FP32, INT8

    assert kind_of(FP32) == kind_of(INT8) is not None
    assert kind_of(torch.ones(2, 3)) == kind_of(torch.zeros(2, 3))
    assert kind_of((1, "a")) == kind_of((2, "b"))
    assert len({kind_of(value) for value in (1, 1.0, True, "1", None, (1,), ((1,),))}) == 7
    assert kind_of([1, 2]) == kind_of([3]) != kind_of(["1"])
    assert kind_of({"a": 1}) == kind_of({"b": 2, "c": 3}) != kind_of({"a": "1"})
    for value in ([len], {"a": len}, {1}, [1] * 99, iter([1]), len, type(FP32), torch.float32):
        assert kind_of(value) is None
