"""A decorator for properties that hold for every example of a task."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The first example reads the tokenizer's words, the others take a millisecond: no deadline.
_settings = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def any_example(test):
    """Call ``test`` with many values of ``index`` and ``seed``."""
    return given(index=st.integers(0, 10**6), seed=st.integers(0, 2**31))(_settings(test))
