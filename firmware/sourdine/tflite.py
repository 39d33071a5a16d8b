"""Runs a streaming .tflite model, step by step, with the results of TensorFlow Lite Micro to the last bit.

A model takes int8 features [1, stride, 40] and gives one probability. Its state is held in variables of the
model (VAR_HANDLE and so on, as microWakeWord makes them), or in further inputs and outputs: then the k-th
further input takes what the k-th further output gave, and starts as its zero point.

The file is checked while it is read; whatever is truncated, hostile, too large or not supported raises
ModelError with a text for the user, before anything runs. step() trusts only what was checked here.
"""

from array import array

from sourdine import int8, operators, spec
from sourdine.flatbuffer import Flatbuffer, ModelError
from sourdine.graph import INT8, SIZE_MAX, Graph, check
from sourdine.plan import NOTHING, SLICE, Plan, addresses, tidy

__all__ = ["Model", "ModelError"]

STRIDE_MAX = 16  # features per step
SCALE = 0x3DD0D0D1  # bits of the float32 26/255: what the frontend's features are in; their zero point is -128
SCALE_SLACK = 256  # bits that a model's may be off, 3e-5 of it


class Model:
    """A model ready to run. `data`: the .tflite as bytes-like, or as a file open in binary mode; either may go
    afterwards; the packed weights, about half of it, stay.

    stride    features that one step takes
    channels  numbers in a feature (spec.CHANNELS)
    macs      multiplications per step
    arena     bytes of tensors and states; `weights` bytes of constants

    step() and feed() take as long as the model does. For a large one, begin() and advance() do a step in slices.
    `macs_max`: refuse a model of more; a second stage may have more time than plan.MACS_MAX allows.
    """

    def __init__(self, data, macs_max=None):
        data = Flatbuffer(data)
        check(data.size <= SIZE_MAX, f"a model of {data.size} bytes; at most {SIZE_MAX} are supported")
        check(data.size >= 8 and data.u32(4) == 0x334C4654, "this is not a .tflite file")  # "TFL3"
        model = data.root()
        check(model.i32(0) == 3, f"a .tflite of version {model.i32(0)}; only 3 is supported")
        plan = Plan(macs_max)
        graph = Graph(model, 0)
        features, score, states = _ends(graph)
        same = abs(features.scale_bits() - SCALE) <= SCALE_SLACK and features.zero() == 0
        check(same, "its features are not of scale 26/255 and zero point -128")
        self.stride = features.shape[1]
        self.channels = spec.CHANNELS
        target = features.keep(plan)
        for index, (state, _) in enumerate(states):
            plan.variables[index] = state.keep(plan), state.kind()
        initial = add_all(plan, model, graph)
        score = score.read(plan)
        for state, result in states:
            plan.copy(result.read(plan), state.size, state.read(plan), state.size, state.size)
        self.macs = plan.macs
        self.weights = plan.weights
        starts = _starts(plan, initial)
        self._arena, self._calls = plan.finish()
        self._costs = array("i", plan.costs)
        self._score = score[0].place
        slots = [(target, self.channels * i) for i in range(self.stride)]
        self._slots = [addresses([slot, self.channels]) for slot in slots]  # tables of int8.take
        self._all = addresses([(target, 0), features.size])
        self._slot = 0
        self._starts = [(kernel, addresses(items)) for kernel, items in starts]
        self.arena = len(self._arena)
        self.reset()

    def reset(self):
        """Forget everything heard, and a step that is not finished."""
        self._slot = 0
        self._next = -1
        for kernel, table in self._starts:
            kernel(self._arena, NOTHING, table)

    def step(self, features):
        """Probability 0..255 after `stride` more features (int8, stride * channels of them). Allocates nothing."""
        self._take(features)
        return self._run()

    def feed(self, features):
        """The same by single features (int8, channels of them): -1 until `stride` of them are there."""
        slot = self._slot
        if self._next >= 0 or len(features) != self.channels:
            self._refuse()
        int8.take(self._arena, features, self._slots[slot])
        slot += 1
        if slot < self.stride:
            self._slot = slot
            return -1
        self._slot = 0
        return self._run()

    def _run(self):
        arena = self._arena
        for kernel, constants, table in self._calls:
            kernel(arena, constants, table)
        return arena[self._score]

    def begin(self, features):
        """Start a step in slices, with what step() takes; then call advance() until it is done."""
        self._take(features)
        self._next = 0

    def advance(self, budget=SLICE):
        """As much of the step as `budget` pays for, but one call at least: the probability when done, before that -1.

        A call costs up to plan.SLICE, which is about so many multiplications. Allocates nothing.
        """
        at = first = self._next
        if first < 0:
            raise ValueError("no step was begun")
        while at == first or budget >= self._costs[at]:
            kernel, constants, table = self._calls[at]
            kernel(self._arena, constants, table)
            budget -= self._costs[at]
            at += 1
            if at == len(self._calls):
                self._next = -1
                return self._arena[self._score]
        self._next = at
        return -1

    def _take(self, features):
        if self._next >= 0 or len(features) != self.stride * self.channels:
            self._refuse()
        int8.take(self._arena, features, self._all)

    def _refuse(self):
        raise ValueError("features of another size" if self._next < 0 else "the step before is not finished")


def _ends(graph):
    """(features, score, [(state, its next value)]): the tensors that a step takes and gives."""
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    features = [i for i in inputs if _is_features(graph.tensor(i))]
    scores = [i for i in outputs if graph.tensor(i).size == 1]
    check(features, f"no input is int8 [1, 1..{STRIDE_MAX}, {spec.CHANNELS}]")
    check(scores, "no output is a single number")
    check(not any(i in inputs for i in outputs), "an input is an output, too")
    inputs.remove(features[0])
    outputs.remove(scores[0])
    check(len(inputs) == len(outputs), f"there are {len(inputs)} states in, but {len(outputs)} out")
    states = []
    for i, o in zip(inputs, outputs):
        state, result = graph.tensor(i), graph.tensor(o)
        check(
            state.shape == result.shape and state.kind() == result.kind(), "a state comes out in another shape or scale"
        )
        states.append((state, result))
    return graph.tensor(features[0]), graph.tensor(scores[0]), states


def _is_features(tensor):
    shape = tensor.shape
    return (
        tensor.type == INT8
        and len(shape) == 3
        and shape[0] == 1
        and shape[1] <= STRIDE_MAX
        and shape[2] == spec.CHANNELS
    )


def add_all(plan, model, graph):
    """Add every operator to the plan; returns the graph that sets the variables at the start, or None."""
    initial = None
    for index in range(graph.size):
        tidy()
        op = graph.operator(index)
        plan.now = index
        if op.code == operators.CALL_ONCE:
            check(initial is None, "more than one CALL_ONCE")
            initial = Graph(model, op.options.i32(0))
            continue
        check(op.code in operators.KNOWN, f"operator type {op.code} is not supported")
        name, add = operators.KNOWN[op.code]
        try:
            add(plan, op)
        except ModelError as error:
            raise ModelError(f"{name} (operator {index}): {error}")
    plan.now = graph.size
    return initial


def _starts(plan, initial):
    """Calls that set every variable: to its zero point, or to what the initial graph assigns."""
    values = {name: (block, kind[3], None) for name, (block, kind) in plan.variables.items()}
    for index in range(initial.size if initial else 0):
        op = initial.operator(index)
        check(op.code in (operators.VAR_HANDLE, operators.ASSIGN_VARIABLE), "the initial graph does more than assign")
        if op.code == operators.VAR_HANDLE:
            operators.var_handle(plan, op)
            continue
        tensor = op.input(1)
        block = plan.variable(op.variable(), tensor)
        check(tensor.is_constant(), "the initial graph assigns what it does not hold")
        content = tensor.content()
        uniform = content == bytes(content[:1]) * tensor.size
        values[op.variable()] = block, content[0], None if uniform else tensor
    fills, moves = [], []
    for block, value, tensor in values.values():
        if tensor is None:
            fills.extend(((block, 0), block.size, value))
        else:
            moves.extend((tensor.read(plan), block.size, (block, 0), block.size, block.size, 1))
    fills.insert(0, len(fills) // 3)
    moves.insert(0, len(moves) // 6)
    return (int8.fill, fills), (int8.move, moves)
