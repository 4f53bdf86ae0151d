"""The sum of exponentials over an INT8 product's columns, with AVX-512 VNNI, compiled by numba.

KL asks of all logits only this sum (engine/readout.py). To make the product first costs as much as
its integers cost to be written and read, and oneDNN reorders the weights each time. Here the sums
of a few rows times 32 columns stay in registers until they are complete and at hand after that, and
weights lie as the instruction takes them: 32 columns by four of what is summed over.

Rows with the same codes have the same integers. Many of a search's tests change what ``logits``
reads by less than its codes tell apart, so equal rows' integers are made once.

``vpdpbusd`` multiplies unsigned by signed bytes, so weights are stored with 128 added; what that
adds to a sum, 128 times the sum of the row's codes, is where the sum begins.
"""

from typing import Any, no_type_check

import numpy as np
from llvmlite import binding, ir
from numba import config, njit, prange
from numba.core import types
from numba.extending import intrinsic

from pahq.precision import panels

ROWS = 12  # of a tile: its sums take 24 of the 32 registers, and none is waited for
LANES = 16
COLUMNS, DEPTH = 32, 4  # of a tile, and products that one instruction adds up
HALVES = COLUMNS // LANES  # vectors as wide as a tile
CHUNK = 32  # panels whose exponentials a thread adds up in FP32: 64 numbers for each lane
LOG2_E = 1.4426950408889634
LEAST, MOST = -126.0, 127.0  # exponents of two beyond which there is no normal number

_INT, _LONG, _FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
_INTS, _FLOATS = ir.VectorType(_INT, LANES), ir.VectorType(_FLOAT, LANES)
# 2^f to 2e-7 of itself for f in [-1/2, 1/2], as in Cephes' exp2f.
_POWER = (
    1.535336188319500e-4, 1.339887440266574e-3, 9.618437357674640e-3, 5.550332471162809e-2,
    2.402264791363012e-1, 6.931472028550421e-1, 1.0,
)  # fmt: skip

# Written out above, because numba keeps what it compiled until this file changes.
assert (COLUMNS, DEPTH) == (panels.COLUMNS, panels.DEPTH)


def there() -> bool:
    """Return whether the processor has the instruction, and numba may use it."""
    features = binding.get_host_cpu_features()
    # Set by NUMBA_CPU_NAME and its like: code for another processor than this one.
    other = getattr(config, "CPU_NAME", None) or getattr(config, "CPU_FEATURES", None)
    if other or not getattr(config, "ENABLE_AVX", True):
        return False
    return bool(features.get("avx512f") and features.get("avx512vnni"))


class _Tile:
    """What one tile's code is made of."""

    def __init__(self, builder: Any):
        self.build = builder
        self._dot = self._function("llvm.x86.avx512.vpdpbusd.512", _INTS, 3)
        self._fma = self._function("llvm.fma.v16f32", _FLOATS, 3)
        self._rint = self._function("llvm.rint.v16f32", _FLOATS, 1)

    def _function(self, name: str, kind: Any, arguments: int) -> Any:
        known = self.build.module.globals.get(name)
        return known or ir.Function(
            self.build.module, ir.FunctionType(kind, [kind] * arguments), name=name
        )

    def at(self, address: Any, offset: int) -> Any:
        return self.build.add(address, ir.Constant(_LONG, offset))

    def place(self, address: Any, kind: Any) -> Any:
        return self.build.inttoptr(address, kind.as_pointer())

    def load(self, address: Any, kind: Any) -> Any:
        return self.build.load(self.place(address, kind), align=1)

    def everywhere(self, number: Any) -> Any:
        """Return a number in every lane."""
        nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
        one = self.build.insert_element(nothing, number, ir.Constant(_INT, 0))
        return self.build.shuffle_vector(one, nothing, ir.Constant(_INTS, [0] * LANES))

    def sums(self, codes: Any, stride: Any, weights: Any, steps: Any, begin: list[Any]) -> list:
        """Multiply; return each row's sums as vectors. Leaves the builder behind the loop."""
        build = self.build
        before, loop = build.block, build.append_basic_block("sums")
        after = build.append_basic_block("complete")
        rows = [build.add(codes, build.mul(stride, ir.Constant(_LONG, r))) for r in range(ROWS)]
        build.branch(loop)
        build.position_at_end(loop)
        step = build.phi(_LONG)
        step.add_incoming(ir.Constant(_LONG, 0), before)
        held = [[build.phi(_INTS) for _ in range(HALVES)] for _ in range(ROWS)]
        along = build.mul(step, ir.Constant(_LONG, DEPTH))
        panel = build.add(weights, build.mul(step, ir.Constant(_LONG, DEPTH * COLUMNS)))
        columns = [self.load(self.at(panel, DEPTH * LANES * half), _INTS) for half in range(HALVES)]
        found = []
        for row, start, halves in zip(rows, begin, held, strict=True):
            four = self.everywhere(self.load(build.add(row, along), _INT))
            new = [
                build.call(self._dot, [sums, part, four])
                for sums, part in zip(halves, columns, strict=True)
            ]
            for sums, more in zip(halves, new, strict=True):
                sums.add_incoming(start, before)
                sums.add_incoming(more, loop)
            found.append(new)
        following = build.add(step, ir.Constant(_LONG, 1))
        step.add_incoming(following, loop)
        build.cbranch(build.icmp_signed("<", following, steps), loop, after)
        build.position_at_end(after)
        return found

    def exponential(self, x: Any) -> Any:
        """Return exp(x); not-a-number stays what it is."""
        build = self.build
        x = none = build.fmul(x, _all(LOG2_E))
        x = build.select(build.fcmp_ordered(">", x, _all(MOST)), _all(MOST), x)
        x = build.select(build.fcmp_ordered("<", x, _all(LEAST)), _all(LEAST), x)
        whole = build.call(self._rint, [x])
        rest, found = build.fsub(x, whole), _all(_POWER[0])
        for factor in _POWER[1:]:
            found = build.call(self._fma, [found, rest, _all(factor)])
        exponent = build.shl(build.fptosi(whole, _INTS), ir.Constant(_INTS, [23] * LANES))
        found = build.bitcast(build.add(build.bitcast(found, _INTS), exponent), _FLOATS)
        return build.select(build.fcmp_unordered("uno", none, none), none, found)

    def scaled(self, sums: Any, channels: Any, scale: Any, more: Any) -> Any:
        """Return integers times both scales, plus something."""
        product = self.build.fmul(self.build.sitofp(sums, _FLOATS), channels)
        return self.build.call(self._fma, [product, scale, more])


def _all(number: float) -> Any:
    return ir.Constant(_FLOATS, [ir.Constant(_FLOAT, float(np.float32(number)))] * LANES)


@intrinsic
@no_type_check
def _multiply(context, codes, stride, weights, steps, begin, totals):
    """Write a tile's sums into ``totals``, (rows, columns). All are addresses or counts."""

    def generate(context, builder, signature, arguments):
        tile = _Tile(builder)
        codes, stride, weights, steps, begin, totals = arguments
        starts = [tile.everywhere(tile.load(tile.at(begin, 4 * r), _INT)) for r in range(ROWS)]
        for r, row in enumerate(tile.sums(codes, stride, weights, steps, starts)):
            for half, sums in enumerate(row):
                to = tile.at(totals, 4 * (COLUMNS * r + LANES * half))
                builder.store(sums, tile.place(to, _INTS), align=1)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), generate


@intrinsic
@no_type_check
def _add_exponentials(context, totals, channels, bias, scale, shift, sums):
    """Add to ``sums``, (lanes,), the exponentials of a tile's row. Scale and shift are numbers."""

    def generate(context, builder, signature, arguments):
        tile = _Tile(builder)
        totals, channels, bias, scale, shift, sums = arguments
        scale, shift = tile.everywhere(scale), tile.everywhere(shift)
        place = tile.place(sums, _FLOATS)
        found = builder.load(place, align=1)
        for half in range(HALVES):
            along = 4 * LANES * half
            integers = tile.load(tile.at(totals, along), _INTS)
            factors = tile.load(tile.at(channels, along), _FLOATS)
            more = builder.fsub(tile.load(tile.at(bias, along), _FLOATS), shift)
            x = tile.scaled(integers, factors, scale, more)
            found = builder.fadd(found, tile.exponential(x))
        builder.store(found, place, align=1)
        return context.get_dummy_value()

    address, number = types.intp, types.float32
    return types.void(address, address, address, number, number, address), generate


@njit(cache=True)
@no_type_check
def grouped(words):
    """Return which rows are the first of their kind, all rows kind by kind, and where kinds end.

    Args:
        words: (rows, width) int32.

    Returns:
        (kinds,) the first row of each kind, (rows,) the rows in the order of their kinds, and
        (kinds + 1,) where those of each begin.
    """
    rows = len(words)
    size = 2
    while size < 2 * rows:
        size *= 2
    table = np.full(size, -1)  # kinds, found by what their codes amount to
    kind, first = np.empty(rows, np.int64), np.empty(rows, np.int64)
    kinds = 0
    for row in range(rows):
        mixed = np.uint64(14695981039346656037)
        for word in words[row]:
            mixed = (mixed ^ np.uint64(np.uint32(word))) * np.uint64(1099511628211)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(1099511628211)
        place = np.int64(mixed >> np.uint64(32)) & (size - 1)
        while table[place] >= 0 and not np.array_equal(words[first[table[place]]], words[row]):
            place = (place + 1) & (size - 1)
        if table[place] < 0:
            table[place], first[kinds] = kinds, row
            kinds += 1
        kind[row] = table[place]
    begins = np.zeros(kinds + 1, np.int64)
    for row in range(rows):
        begins[kind[row] + 1] += 1
    begins = np.cumsum(begins)
    after, order = begins[:-1].copy(), np.empty(rows, np.int64)
    for row in range(rows):
        order[after[kind[row]]] = row
        after[kind[row]] += 1
    return first[:kinds], order, begins


@njit(parallel=True, cache=True)
@no_type_check
def sum_exp(codes, begin, order, begins, scale, shift, weights, channels, bias, out):
    """Write into ``out`` the sums over columns of exp(product * scales + bias - shift).

    Exponents above 88 count as 88: a sum above 1e30 means nothing.

    Args:
        codes: (kinds, fan_in) int8; contiguous, and zeros behind them to fill the last tile.
        begin: as many int32, what each sum begins with.
        order: (rows,) the rows by their kind.
        begins: (kinds + 1,) where those of each begin.
        scale: (rows,) of the codes.
        shift: (rows,) what is taken off.
        weights: (panels, fan_in / 4, 128) uint8.
        channels: (panels * 32,) scales.
        bias: (panels * 32,) what is added.
        out: (rows,) float64.
    """
    fan_in, kinds = codes.shape[1], len(begins) - 1
    chunks = (len(weights) + CHUNK - 1) // CHUNK
    parts = np.empty((chunks, len(scale)))
    for chunk in prange(chunks):
        sums = np.zeros((len(scale), LANES), np.float32)
        totals = np.empty((ROWS, COLUMNS), np.int32)
        for panel in range(chunk * CHUNK, min(len(weights), (chunk + 1) * CHUNK)):
            of_panel = channels[panel * COLUMNS :].ctypes.data, bias[panel * COLUMNS :].ctypes.data
            for tile in range(0, kinds, ROWS):
                _multiply(
                    codes[tile:].ctypes.data, fan_in,
                    weights[panel].ctypes.data, fan_in // DEPTH,
                    begin[tile:].ctypes.data, totals.ctypes.data,
                )  # fmt: skip
                for kind in range(tile, min(kinds, tile + ROWS)):
                    integers = totals[kind - tile].ctypes.data
                    for row in order[begins[kind] : begins[kind + 1]]:
                        _add_exponentials(
                            integers, of_panel[0], of_panel[1], scale[row], shift[row],
                            sums[row].ctypes.data,
                        )  # fmt: skip
        for row in range(len(scale)):
            total = 0.0
            for lane in range(LANES):
                total += sums[row, lane]
            parts[chunk, row] = total
    for row in range(len(scale)):  # in one order, whatever else is in the batch
        out[row] = 0.0
        for chunk in range(chunks):
            out[row] += parts[chunk, row]
