"""Operators that compute: convolutions, dense layers, ADD, MUL, LOGISTIC, QUANTIZE.

Each checks its shapes, packs its constants and adds its calls to the plan, like the others in operators.py.
Layers share two halves: a kernel that accumulates, and requantise(). Source: TFLM's micro/kernels/*_common.cc
(checks) and kernels/internal/reference (meaning).
"""

import struct
from array import array

from sourdine import int8, quantize
from sourdine.graph import check
from sourdine.plan import NOTHING

WINDOWS_MAX = 256  # places a filter is put at, in one step
SAME, VALID = 0, 1  # paddings of the schema


def fully_connected(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    check(len(w.shape) == 2 and op.options.byte(1) == 0, "its weights are not a plain matrix")
    m, n = w.shape
    windows = x.size // n
    check(windows * n == x.size and windows * m == y.size, "its shapes do not fit together")
    _layer(plan, op, int8.dense, (x.read(plan), n, windows), (n, m, 1, n), op.options.byte(0))


def conv_2d(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    options = op.options
    check(len(x.shape) == len(w.shape) == len(y.shape) == 4, "it is not two-dimensional")
    m, height, width, channels = w.shape
    check(channels == x.shape[3] and m == y.shape[3], "its channels do not fit together")
    dilation = options.i32(5, 1), options.i32(4, 1)
    windows = _windows(plan, op, (height, width), (options.i32(2), options.i32(1)), dilation)
    n = height * width * channels
    _layer(plan, op, int8.dense, windows, (n, m, 1, n), options.byte(3))


def depthwise_conv_2d(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    options = op.options
    check(len(x.shape) == len(w.shape) == len(y.shape) == 4, "it is not two-dimensional")
    one, height, width, m = w.shape
    check(one == 1 and m == x.shape[3] == y.shape[3] and options.i32(3) == 1, "a depth multiplier is not supported")
    dilation = options.i32(6, 1), options.i32(5, 1)
    windows = _windows(plan, op, (height, width), (options.i32(2), options.i32(1)), dilation)
    _layer(plan, op, int8.depthwise, windows, (height * width, m, m, 1), options.byte(4), 3)


def _windows(plan, op, kernel, strides, dilation):
    """(address, step, count) of the filter's windows, each contiguous; gathered first if they are not."""
    x, y = op.input(0), op.output(0)
    batch, _, width, channels = x.shape
    check(batch == 1 and y.shape[0] == 1, "batches are not supported")
    check(min(strides) > 0 and min(dilation) > 0, "its strides are not positive")
    check(kernel[1] == 1 or dilation[1] == 1, "dilation along two axes is not supported")
    spans = [(kernel[i] - 1) * dilation[i] + 1 for i in (0, 1)]
    counts = [(x.shape[1 + i] - spans[i]) // strides[i] + 1 for i in (0, 1)]
    if op.options.byte(0) == SAME:
        for i in (0, 1):
            full = -(-x.shape[1 + i] // strides[i])
            check((full - 1) * strides[i] + spans[i] <= x.shape[1 + i], "padding is not supported")
            counts[i] = full
    check(min(counts) > 0 and y.shape[1:3] == tuple(counts), "its output has another shape")
    rows, columns = counts
    check(rows * columns <= WINDOWS_MAX, f"more than {WINDOWS_MAX} windows")
    strides = [strides[i] if counts[i] > 1 else 1 for i in (0, 1)]  # where none is taken, any number may stand
    dilation = [dilation[i] if kernel[i] > 1 else 1 for i in (0, 1)]
    address, row, run = x.read(plan), width * channels, kernel[1] * channels
    if kernel[0] == 1 or (kernel[1] == width and dilation[0] == 1):  # each window is one run already
        if columns == 1:
            return address, strides[0] * row, rows
        if rows == 1:
            return address, strides[1] * channels, columns
        if strides[0] == 1 and strides[1] * columns == width:
            return address, strides[1] * channels, rows * columns
    size = kernel[0] * run
    gathered = plan.block(rows * columns * size)
    for i in range(rows * columns):
        place = i // columns * strides[0] * row + i % columns * strides[1] * channels
        plan.copy((address[0], place), dilation[0] * row, (gathered, i * size), run, run, kernel[0])
    return (gathered, 0), size, rows * columns


def _layer(plan, op, kernel, windows, sizes, activation, axis=0):
    """Accumulate and requantise: the common half of all layers. sizes: n per output, m outputs, and pack()'s steps."""
    x, w, y, bias = op.input(0), op.weights(1), op.output(0), op.bias(2, sizes[1])
    address, step, count = windows
    n, m, item_step, row_step = sizes
    check(n <= int8.TAPS_MAX, f"more than {int8.TAPS_MAX} products per output")
    check(w.scales[1] in (1, m) and (w.scales[1] == 1 or w.axis == axis), "its scales do not fit its weights")
    constants = plan.constants((9 + n) * m)  # m biases, m multipliers, m shifts, weights
    acc = plan.block(4 * count * m)
    plan.call(kernel, constants, [address, step, count, n, m, 9 * m, 0, (acc, 0)], count * n * m)
    _requantise(plan, constants, acc, count, m, 4 * m, y, activation)
    w.copy(constants, 9 * m)
    int8.pack(NOTHING, constants, array("i", (9 * m, 0, n, m, item_step, row_step)))
    scale_x, zero_x, scale_y = quantize.scale(x.scale_bits()), x.zero(), quantize.scale(y.scale_bits())
    for i in range(m):
        total = struct.unpack_from("<i", constants, 4 * i)[0] - 128 * n  # of the weights as int8
        b = bias(i)
        multiplier = quantize.product(scale_x, quantize.scale(w.scale_bits(i)), scale_y)
        _pack_multiplier(constants, 4 * m, m, i, multiplier, abs(b) + n * 255 * 128)
        struct.pack_into("<i", constants, 4 * i, b - zero_x * total + int8.LIFT)


def _pack_multiplier(constants, at, m, i, multiplier, largest):
    """Multiplier i of m, and its shift, after checking that an accumulator up to `largest` stays in range."""
    q, shift = multiplier
    check(-30 <= shift <= 30 and largest << max(shift, 0) < int8.LIFT, "its scales or biases are out of range")
    struct.pack_into("<i", constants, at + 4 * i, q)
    constants[at + 4 * m + i] = 32 + shift if shift > 0 else -shift


def _requantise(plan, constants, acc, windows, m, at, y, activation):
    """The second half: accumulators to y, by m multipliers and shifts at offset `at`."""
    low, high = quantize.limits(activation, quantize.scale(y.scale_bits()), y.zero())
    out = y.write(plan)
    plan.use(acc)
    items = [(acc, 0), windows, m, at, at + 4 * m, out, y.zero(), low, high, int8.LIFT]
    plan.call(int8.requantise, constants, items)


def mul(plan, op):
    x, y, out, scales = _operands(op)
    constants = plan.constants(5)
    _pack_multiplier(constants, 0, 1, 0, quantize.product(*scales), 255 * 255)
    acc = plan.block(4 * x.size)
    items = [x.read(plan), y.read(plan), y.size, x.size // y.size, x.zero(), y.zero(), (acc, 0), int8.LIFT]
    plan.call(int8.multiply, constants, items, x.size)
    _requantise(plan, constants, acc, x.size, 1, 0, out, op.options.byte(0))


def add(plan, op):
    x, y, out, scales = _operands(op)
    *parts, multiplier = quantize.add(*scales)
    constants = plan.constants(2048 + 5)
    for i, tensor in enumerate((x, y)):
        values = quantize.addends(parts[i], tensor.zero())
        struct.pack_into("<256i", constants, 1024 * i, *[value + int8.LIFT // 2 for value in values])
    _pack_multiplier(constants, 2048, 1, 0, multiplier, 1 << 29)
    acc = plan.block(4 * x.size)
    items = [x.read(plan), y.read(plan), y.size, x.size // y.size, 0, 1024, (acc, 0)]
    plan.call(int8.add, constants, items, x.size)
    _requantise(plan, constants, acc, x.size, 1, 2048, out, op.options.byte(0))


def _operands(op):
    """(x, y, output, their scales) of a commutative operator: x has the output's shape, y may have to repeat."""
    x, y, out = op.input(0), op.input(1), op.output(0)
    if x.shape != out.shape:
        x, y = y, x
    check(x.shape == out.shape, "its output has another shape")
    tail = list(y.shape)
    while tail and tail[0] == 1:
        tail.pop(0)
    check(tuple(tail) == x.shape[len(x.shape) - len(tail) :], "these shapes cannot be spread over each other")
    return x, y, out, [quantize.scale(tensor.scale_bits()) for tensor in (x, y, out)]


def logistic(plan, op):
    x, y = op.input(0), op.output(0)
    check(y.zero() == 0, "its output's zero point is not -128")
    _lookup(plan, x, y, quantize.logistic(quantize.scale(x.scale_bits()), x.zero()))


def quantise(plan, op):
    x, y = op.input(0), op.output(0)
    scale_x, scale_y = quantize.scale(x.scale_bits()), quantize.scale(y.scale_bits())
    _lookup(plan, x, y, quantize.convert(scale_x, x.zero(), scale_y, y.zero()))


def _lookup(plan, x, y, values):
    check(x.size == y.size, "its output has another size")
    constants = plan.constants(256)
    constants[:] = values
    plan.call(int8.lookup, constants, [x.read(plan), y.write(plan), x.size, 0])
