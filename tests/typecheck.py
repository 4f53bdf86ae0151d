"""Types and shapes are checked by beartype, once for each kind of call.

What a check says of a tensor follows from its dtype and shape, of most else from its type: a call
like one that has passed passes too. A search makes the same few calls ten thousand times.
"""

from functools import wraps
from types import NoneType

from beartype import beartype
from torch import Tensor

PLAIN = frozenset({NoneType, bool, int, float, str})
CONTAINERS = (type, tuple, list, dict, set, frozenset)  # what they hold is checked too


def once(function):
    """Return ``function``, which jaxtyping calls for nothing but its checks, with a memory."""
    checked, passed = beartype(function), set()

    @wraps(checked)
    def ask(*args, **kwargs):
        kind = (*map(kind_of, args), *kwargs, *map(kind_of, kwargs.values()))
        if None in kind or kind not in passed:
            checked(*args, **kwargs)
            passed.add(kind)

    return ask


def kind_of(value):
    """Return all that a check of ``value`` depends on; None if that cannot be told."""
    what = type(value)
    if what is Tensor:
        return value.dtype, value.shape
    if what in PLAIN:
        return what
    if what is tuple and len(value) < 5:
        items = tuple(map(kind_of, value))
        return None if None in items else (tuple, *items)
    if what.__module__.startswith("pahq.") and not issubclass(what, CONTAINERS):
        return what
    return None
