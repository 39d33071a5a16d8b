"""What each operator of a net asks of the plan; here those that move data, and the table of all.

An operator is refused (ModelError) whenever it is not exactly what the kernels do. Operators and tensors are
those of graph.py. Numbers of operators and of their options are those of TensorFlow Lite's schema.fbs, version 3.
Source: TFLM's micro/kernels/*_common.cc (checks) and kernels/internal/reference (meaning).
"""

from sourdine import layers
from sourdine.graph import check

RUNS_MAX = 64  # copies that one slice may take


def _product(numbers):
    n = 1
    for number in numbers:
        n *= number
    return n


def _axis(axis, tensor):
    axis += len(tensor.shape) if axis < 0 else 0
    check(0 <= axis < len(tensor.shape), f"there is no axis {axis}")
    return axis


def reshape(plan, op):
    x, y = op.input(0), op.output(0)
    check(x.type == y.type and x.size == y.size, "the two shapes do not hold the same data")
    plan.copy(x.read(plan), x.size, y.write(plan), y.size, x.size)


def concatenation(plan, op):
    y = op.output(0)
    axis = _axis(op.options.i32(0), y)
    check(op.options.byte(1) == 0, "a fused activation is not supported")
    check(_join(plan, [op.input(i) for i in range(len(op.inputs))], y, axis, True), "its shapes do not fit together")


def split(plan, op):
    _split(plan, op, op.input(1), op.constant(0))


def split_v(plan, op):
    _split(plan, op, op.input(0), op.constant(2))


def _split(plan, op, x, axis):
    parts = [op.output(i) for i in range(len(op.outputs))]
    check(len(axis) == 1 and _join(plan, parts, x, _axis(axis[0], x), False), "its shapes do not fit together")


def _join(plan, parts, whole, axis, joining):
    """Copy parts to the whole (joining) or back, side by side along the axis; whether they fit."""
    outer, inner = _product(whole.shape[:axis]), _product(whole.shape[axis + 1 :])
    row = whole.size // outer
    at = 0
    whole_at = whole.write(plan)[0] if joining else whole.read(plan)[0]
    for part in parts:
        n = part.size // outer
        shape = whole.shape[:axis] + (n // inner,) + whole.shape[axis + 1 :]
        if part.shape != shape or part.type != whole.type or at + n > row:
            return False
        if joining:
            check(part.scale_bits() == whole.scale_bits() and part.zero() == whole.zero(), "its scales differ")
            plan.copy(part.read(plan), n, (whole_at, at), row, n, outer)
        else:
            plan.copy((whole_at, at), row, part.write(plan), n, n, outer)
        at += n
    return at == row


def strided_slice(plan, op):
    x, y = op.input(0), op.output(0)
    dims = len(x.shape)
    begin, end, strides = op.constant(1), op.constant(2), op.constant(3)
    begin_mask, end_mask, shrink = op.options.i32(0), op.options.i32(1), op.options.i32(4)
    check(op.options.i32(2) == 0 and op.options.i32(3) == 0 and op.options.byte(5) == 0, "its masks are not supported")
    check(len(begin) == len(end) == len(strides) == dims, "its bounds do not fit the input")
    levels = []  # from the last axis to the first: (how many, bytes between them); the first level is the run
    offset, run, step = 0, 1, 1
    for i in range(dims - 1, -1, -1):
        n, stride = x.shape[i], strides[i]
        check(stride > 0, f"a stride of {stride} is not supported")
        first = 0 if begin_mask >> i & 1 else min(max(begin[i] + (n if begin[i] < 0 else 0), 0), n)
        last = n if end_mask >> i & 1 else min(max(end[i] + (n if end[i] < 0 else 0), 0), n)
        if shrink >> i & 1:
            last = first + 1
        count = -((first - last) // stride)
        check(0 < count and first + (count - 1) * stride < n, "it is empty or leaves the input")
        offset += first * step
        if run == step and stride == 1:
            run *= count  # still one run of neighbours
        elif count > 1:
            levels.append((count, stride * step))
        step *= n
    check(x.type == y.type and y.size == run * _product([count for count, _ in levels]), "its output has another size")
    source, target = x.read(plan), y.write(plan)
    inner = levels[0] if levels else (1, run)
    places = [offset]
    for count, step in levels[1:]:
        check(len(places) * count <= RUNS_MAX, "it takes too many copies")
        places = [place + step * i for i in range(count) for place in places]
    for i, place in enumerate(places):
        plan.copy((source[0], place), inner[1], (target[0], i * run * inner[0]), run, run, inner[0])


def var_handle(plan, op):
    op.name_variable(op.options.text(0) + b"/" + op.options.text(1))


def read_variable(plan, op):
    y = op.output(0)
    plan.copy((plan.variable(op.variable(), y), 0), y.size, y.write(plan), y.size, y.size)


def assign_variable(plan, op):
    x = op.input(1)
    plan.copy(x.read(plan), x.size, (plan.variable(op.variable(), x), 0), x.size, x.size)


CALL_ONCE, VAR_HANDLE, ASSIGN_VARIABLE = 129, 142, 144
KNOWN = {
    0: ("ADD", layers.add),
    2: ("CONCATENATION", concatenation),
    3: ("CONV_2D", layers.conv_2d),
    4: ("DEPTHWISE_CONV_2D", layers.depthwise_conv_2d),
    9: ("FULLY_CONNECTED", layers.fully_connected),
    14: ("LOGISTIC", layers.logistic),
    18: ("MUL", layers.mul),
    22: ("RESHAPE", reshape),
    45: ("STRIDED_SLICE", strided_slice),
    49: ("SPLIT", split),
    102: ("SPLIT_V", split_v),
    114: ("QUANTIZE", layers.quantise),
    VAR_HANDLE: ("VAR_HANDLE", var_handle),
    143: ("READ_VARIABLE", read_variable),
    ASSIGN_VARIABLE: ("ASSIGN_VARIABLE", assign_variable),
}
