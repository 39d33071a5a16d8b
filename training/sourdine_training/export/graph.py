"""A .tflite in the making: tensors, operators and subgraphs, written with the schema that tflite-micro brings.

Source: TensorFlow Lite's schema.fbs, version 3; versions of operators as lite/tools/versioning/op_version.cc gives
them to int8.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

ALIGNMENT = 16  # bytes: of constants in the file, as the schema says (force_align); a chip reads words there
# operator → (version, its options' name in the schema, "" where it has none)
OPERATORS = {
    "ASSIGN_VARIABLE": (1, "AssignVariable"),
    "CALL_ONCE": (1, "CallOnce"),
    "CONCATENATION": (2, "Concatenation"),
    "CONV_2D": (3, "Conv2D"),
    "DEPTHWISE_CONV_2D": (3, "DepthwiseConv2D"),
    "FULLY_CONNECTED": (4, "FullyConnected"),
    "LOGISTIC": (2, ""),
    "QUANTIZE": (2, "Quantize"),
    "READ_VARIABLE": (1, "ReadVariable"),
    "RESHAPE": (1, "Reshape"),
    "SPLIT_V": (2, "SplitV"),
    "STRIDED_SLICE": (2, "StridedSlice"),
    "VAR_HANDLE": (1, "VarHandle"),
}
Scales = float | Sequence[float] | np.ndarray


class Graph:
    """Tensors are referred to by the index that tensor() and constant() give."""

    def __init__(self) -> None:
        self._schema = schema()
        self._model = self._schema.ModelT()
        self._model.version = 3
        self._model.description = "sourdine"
        self._model.operatorCodes, self._model.subgraphs = [], []
        self._model.buffers = [self._schema.BufferT()]  # the first is empty by convention
        self._codes: dict[str, int] = {}
        self.subgraph("main")

    def subgraph(self, name: str) -> int:
        """What follows goes into a further subgraph; its index."""
        self._now = self._schema.SubGraphT()
        self._now.name = name
        self._now.tensors, self._now.operators = [], []
        self._now.inputs, self._now.outputs = [], []
        self._model.subgraphs.append(self._now)
        return len(self._model.subgraphs) - 1

    def go_back(self, index: int) -> None:
        """What follows goes into that subgraph again."""
        self._now = self._model.subgraphs[index]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        scale: Scales | None = None,
        zero: int = 0,
        data: np.ndarray | None = None,
        kind: str = "INT8",
        axis: int = 0,
    ) -> int:
        """kind: of the schema's TensorType. scale: one, or one for each index of `axis`. data: if it is constant."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = getattr(self._schema.TensorType, kind)
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.full(len(scales), zero, np.int64)
            tensor.quantization.quantizedDimension = axis
        buffer = self._schema.BufferT()
        if data is not None:
            buffer.data = np.frombuffer(np.ascontiguousarray(data, kind.lower()).tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor.buffer = len(self._model.buffers) - 1
        self._now.tensors.append(tensor)
        return len(self._now.tensors) - 1

    def constant(self, *values: int) -> int:
        """A shape, an axis, a bound: int32 [n]."""
        return self.tensor("", [len(values)], data=np.array(values), kind="INT32")

    def axis(self, value: int) -> int:
        """An axis, int32 []."""
        return self.tensor("", [], data=np.array(value), kind="INT32")

    def handle(self, name: str) -> int:
        """The variable of this name, in the subgraph of now."""
        index = self.tensor(name, [], kind="RESOURCE")
        self.op("VAR_HANDLE", [], [index], container="", sharedName=name)
        return index

    def op(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        version, kind = OPERATORS[name]
        if name not in self._codes:
            code = self._schema.OperatorCodeT()
            code.builtinCode = getattr(self._schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = version
            self._codes[name] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        op = self._schema.OperatorT()
        op.opcodeIndex = self._codes[name]
        op.inputs, op.outputs = list(inputs), list(outputs)
        if kind:
            op.builtinOptionsType = getattr(self._schema.BuiltinOptions, f"{kind}Options")
            op.builtinOptions = getattr(self._schema, f"{kind}OptionsT")()
            for key, value in options.items():
                if not hasattr(op.builtinOptions, key):
                    raise AttributeError(f"{name} has no option {key}")
                setattr(op.builtinOptions, key, value)
        self._now.operators.append(op)

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file; inputs and outputs are the first subgraph's."""
        import flatbuffers

        main = self._model.subgraphs[0]
        main.inputs, main.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1 << 16)
        for buffer in self._model.buffers:
            buffer.Pack = lambda builder, buffer=buffer: self._pack(builder, buffer.data)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _pack(self, builder: Any, data: np.ndarray | None) -> int:
        """A buffer that starts at a multiple of ALIGNMENT, which the generated code does not see to."""
        at = None
        if data is not None:
            builder.StartVector(1, len(data), ALIGNMENT)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data.tobytes()
            at = builder.EndVector()
        self._schema.BufferStart(builder)
        if at is not None:
            self._schema.BufferAddData(builder, at)
        return self._schema.BufferEnd(builder)


def schema() -> Any:
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated

    return schema_py_generated
