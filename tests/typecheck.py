"""Types and shapes are checked by jaxtyping and beartype, once for each kind of call.

What a check says of a tensor follows from its dtype and shape, of most else from its type: a call
like one that has passed, with a result like the one it had, passes too. A search makes the same few
calls ten thousand times.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from types import FunctionType, NoneType
from typing import Any

import jaxtyping
from beartype import beartype
from torch import Tensor

PLAIN = frozenset({NoneType, bool, int, float, str})
CONTAINERS = (type, tuple, list, dict, set, frozenset)  # what they hold is checked too
FEW = 9  # items of a container that are looked at one by one

jaxtyped = jaxtyping.jaxtyped


def install() -> None:
    """Let jaxtyping's import hook decorate functions with a memory."""
    jaxtyping.jaxtyped = remembering  # pyright: ignore


def remembering(*, typechecker: Callable[..., Any] = beartype) -> Callable[..., Any]:
    """Return jaxtyping's decorator; plain functions get a memory with it."""
    decorate = jaxtyped(typechecker=typechecker)
    return lambda what: once(what, decorate) if isinstance(what, FunctionType) else decorate(what)


def once(function: FunctionType, decorate: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is checked when it is called in a way in which it was not before."""
    checked, (answer, results) = decorate(function), _answering(function)
    check_result = decorate(answer)
    passed: dict[tuple[Any, ...], set[Any]] = {}

    @wraps(checked)
    def ask(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        kind = (*map(kind_of, args), *kwargs, *map(kind_of, kwargs.values()))
        known = None if None in kind else passed.get(kind)
        if known is None:
            result = checked(*args, **kwargs)
        else:
            result = function(*args, **kwargs)
            if kind_of(result) not in known:
                results.append(result)
                check_result(*args, **kwargs)
        if None not in kind and (of_result := kind_of(result)) is not None:
            passed.setdefault(kind, set()).add(of_result)
        return result

    return ask


def _answering(function: FunctionType) -> tuple[FunctionType, list[Any]]:
    """Return one with the same annotations that returns what was put into the list."""
    results: list[Any] = []

    def answer(*args: Any, **kwargs: Any) -> Any:
        return results.pop()

    other = FunctionType(
        answer.__code__, function.__globals__, function.__name__, closure=answer.__closure__
    )
    other.__signature__ = inspect.signature(function)  # pyright: ignore
    other.__module__, other.__qualname__ = function.__module__, function.__qualname__
    return other, results


def kind_of(value: Any) -> Any:
    """Return all that a check of ``value`` depends on; None if that cannot be told."""
    what = type(value)
    if what is Tensor:
        return value.dtype, value.shape
    if what in PLAIN:
        return what
    if what is tuple and len(value) < FEW:
        items = tuple(map(kind_of, value))
        return None if None in items else (tuple, *items)
    if what is list and len(value) < FEW:
        items = frozenset(map(kind_of, value))
        return None if None in items else (list, items)
    if what is dict and len(value) < FEW:
        items = frozenset((kind_of(key), kind_of(each)) for key, each in value.items())
        return None if any(None in item for item in items) else (dict, items)
    if what.__module__.startswith("pahq.") and not issubclass(what, CONTAINERS):
        return what
    return None
