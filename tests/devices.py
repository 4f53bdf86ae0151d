"""Devices to run a test on: the processor always, a GPU where there is one."""

import pytest

from pahq.precision.formats import INT8
from pahq.precision.native import is_native

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
needs_int8 = pytest.mark.skipif(
    not is_native(INT8, "cpu"), reason="this processor has no integer products (VNNI)"
)
