"""The graph in a .tflite: its tensors, with where they live in the plan, and its operators.

Everything is read on demand, and checked when it is. Numbers of fields and types are those of TensorFlow Lite's
schema.fbs, version 3.
"""

from sourdine.flatbuffer import ModelError

SIZE_MAX = 524_288  # bytes of a model file, so of anything in it
OPERATORS_MAX = 256
TENSORS_MAX = 512
ENDS_MAX = 33  # inputs, and outputs: features or score, and states
INT32, UINT8, INT8 = 2, 3, 9  # types of tensors


def check(condition, text):
    """ModelError(text) unless the condition holds."""
    if not condition:
        raise ModelError(text)


class Tensor:
    """One tensor of a graph, for as long as one operator is looked at: what lasts is in the graph and the plan."""

    def __init__(self, graph, index, table, buffer):
        self._graph = graph
        self._index = index
        self._data = table.data
        self.shape = table.integers(0, 6)
        self.type = table.byte(1)
        self.size = 1
        for n in self.shape:
            check(0 < n <= SIZE_MAX, "a tensor's shape is not positive")
            self.size *= n
            check(self.size <= SIZE_MAX, "a tensor is too large")
        check(buffer.u32(1) == 0, "constants outside the model are not supported")
        self._at, self._length = buffer.vector(0, 1)
        check(self._length in (0, self.size * (4 if self.type == INT32 else 1)), "a constant has another size")
        quantization = table.table(4)
        self.scales = quantization.vector(2, 4)
        self._zeros = quantization.vector(3, 8)
        self.axis = quantization.i32(6)

    def scale_bits(self, index=0):
        """Bits of the float32 scale; the last one serves every index beyond it."""
        at, count = self.scales
        check(count > 0, "a tensor is not quantised")
        return self._data.u32(at + 4 * min(index, count - 1))

    def zero(self):
        """Zero point as the plan holds it (value + 128 for int8)."""
        zero = self._zero(0) + self._bias()
        check(0 <= zero <= 255, "a zero point is out of range")
        return zero

    def _zero(self, index):
        at, count = self._zeros
        return self._data.read("<q", 8, at + 8 * index) if index < count else 0

    def _bias(self):
        check(self.type in (INT8, UINT8), f"only int8 tensors are supported, this is type {self.type}")
        return 128 if self.type == INT8 else 0

    def read(self, plan):
        """(block, offset) of its data, in use until now at least."""
        block = self._graph.blocks.get(self._index)
        if block is None:
            check(self.is_constant(), "a tensor is used before anything is in it")
            block = self.keep(plan)
            plan.load(block, self.content())
        plan.use(block)
        return block, 0

    def write(self, plan):
        """(block, offset) for its data, which lives from now on."""
        check(not self.is_constant(), "a constant is written")
        return self._place(plan.block(self.size)), 0

    def keep(self, plan):
        """Live for ever: an input, or a constant. Returns the block."""
        return self._place(plan.block(self.size, keep=True))

    def _place(self, block):
        self._bias()
        check(self._index not in self._graph.blocks, "a tensor is written twice")
        self._graph.blocks[self._index] = block
        return block

    def copy(self, target, at):
        """A constant's bytes as they are in the file."""
        self._data.copy(self._at, self.size, target, at)

    def row(self, index, size, target):
        """Bytes [index * size, (index + 1) * size) of a constant, to the start of `target`."""
        self._data.copy(self._at + index * size, size, target, 0)

    def content(self):
        """A constant's bytes as the plan holds them."""
        out = bytearray(self.size)
        self.copy(out, 0)
        bias = self._bias()
        for i in range(self.size):
            out[i] ^= bias
        return out

    def integers(self):
        """A small int32 constant."""
        check(self.type == INT32 and 0 < self._length <= 32, "a parameter is not a small constant")
        return tuple([self.integer(i) for i in range(self.size)])

    def integer(self, index):
        return self._data.i32(self._at + 4 * index)

    def is_constant(self):
        return self._length > 0

    def is_weights(self):
        return self.type == INT8 and self.is_constant() and not any(self._zero(i) for i in range(self._zeros[1]))

    def is_bias(self, size):
        return self.type == INT32 and self._length == 4 * size

    def kind(self):
        """What two tensors share if one can stand for the other."""
        return self.size, self.type, self.scale_bits(), self.zero()


class Graph:
    """One subgraph: tensors and operators on demand."""

    def __init__(self, model, index):
        self._model = model
        self._table = model.item(2, index)
        self.blocks = {}  # of the tensors that have data already, by index
        self.names = {}  # of the variables that tensors are handles of, by index
        self.inputs = self._table.integers(1, ENDS_MAX)
        self.outputs = self._table.integers(2, ENDS_MAX)
        check(self._table.vector(0)[1] <= TENSORS_MAX, f"more than {TENSORS_MAX} tensors")
        self.size = self._table.vector(3)[1]
        check(self.size <= OPERATORS_MAX, f"more than {OPERATORS_MAX} operators")

    def tensor(self, index):
        table = self._table.item(0, index)
        return Tensor(self, index, table, self._model.item(4, table.u32(2)))

    def operator(self, index):
        return Operator(self._model, self, self._table.item(3, index))


class Operator:
    """One operator; operators.py asks it for what it needs, in the role it needs it."""

    def __init__(self, model, graph, table):
        code = model.item(1, table.u32(0))
        old = code.byte(0)
        self.code = max(code.i32(3), old if old < 128 else 0)
        self.inputs = table.integers(1, 16)
        self.outputs = table.integers(2, 16)
        self.options = table.table(4)
        self._graph = graph

    def input(self, index):
        check(index < len(self.inputs), "it has too few inputs")
        return self._graph.tensor(self.inputs[index])

    def output(self, index):
        check(index < len(self.outputs), "it has too few outputs")
        return self._graph.tensor(self.outputs[index])

    def constant(self, index):
        return self.input(index).integers()

    def weights(self, index):
        tensor = self.input(index)
        check(tensor.is_weights(), "its weights are not int8 constants around 0")
        return tensor

    def bias(self, index, size):
        """Function from an output's index to its bias."""
        if index >= len(self.inputs) or self.inputs[index] < 0:
            return lambda i: 0
        tensor = self.input(index)
        check(tensor.is_bias(size), f"its bias is not {size} constants")
        return tensor.integer

    def name_variable(self, name):
        """Output 0 is a handle of the variable of this name."""
        check(len(self.outputs) == 1, "it has no output")
        self._graph.names[self.outputs[0]] = name

    def variable(self):
        """Name of the variable that input 0 is a handle of."""
        name = self._graph.names.get(self.inputs[0]) if self.inputs else None
        check(name is not None, "its first input is not a variable")
        return name
