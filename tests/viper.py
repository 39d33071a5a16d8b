"""Gives viper kernels the chip's meaning on CPython, and fails where 32 bits do not suffice.

The desktop's MicroPython has 64-bit registers, so a kernel that overflows on the ESP32 passes there. Here
every result of an operator is checked instead: an `int` must stay within the chip's signed 32 bits and a
`uint` within its unsigned ones. Nothing wraps, not even on purpose, so what passes here means the same at
both widths. Memory is the chip's, too: ptr8 and ptr16 read unsigned, ptr32 signed, and every address must
lie in a buffer of the caller and be aligned, or the chip would corrupt its heap or trap.

`install()` makes `@micropython.viper` do this for every kernel imported afterwards; conftest.py calls it.
What viper refuses to compile at all (mixed types, constants past 31 bits) is mpy-cross's to say.

Source: MicroPython's py/emitnative.c (a binary operation has its left operand's type; comparing an int
with a uint is refused).
"""

import ast
import inspect
import textwrap
import types

import numpy as np

INT_MIN, INT_MAX, UINT_MAX = -(1 << 31), (1 << 31) - 1, (1 << 32) - 1
CELLS = {"ptr8": "B", "ptr16": "H", "ptr32": "i"}
WORDS = {"int", "uint", "bool", "range", *CELLS}  # what a kernel may call
RAM = 0x3FC8_8000  # where an ESP32-S3 keeps its data: addresses are positive ints there
GAP = 4096  # bytes between buffers; a pointer may rest in them but not be read through


class Overflow(ArithmeticError):
    """A result that the chip's 32-bit register cannot hold; names the expression."""


class Stray(IndexError):
    """A read or write outside the caller's buffers, or unaligned."""


class Refused(SyntaxError):
    """A construct that has another meaning in viper, or none."""


class Uint(int):
    """viper's uint: what it is combined with on the right becomes unsigned too."""

    def __neg__(self):
        raise Overflow(f"-uint({int(self)})")

    def __invert__(self):
        raise Overflow(f"~uint({int(self)}) has 64 bits on the desktop")


class Wrapping(int):
    """What is stored with its low bits alone."""


def _unsigned(name):
    operator = getattr(int, name)

    def apply(self, other):
        value = operator(self, other)
        if not 0 <= value <= UINT_MAX:
            raise Overflow(f"uint {int(self)} {name} {int(other)} = {value}")
        return Uint(value)

    return apply


for _name in ("add", "sub", "mul", "and", "or", "xor", "lshift", "rshift"):
    setattr(Uint, f"__{_name}__", _unsigned(f"__{_name}__"))


class Buffer:
    """One argument's bytes, at an address of the chip that keeps the real one's alignment."""

    def __init__(self, data, name, base):
        self.bytes = memoryview(data).cast("B")
        self.name = name
        self.start = base + (np.frombuffer(self.bytes, np.uint8).ctypes.data % 16 if len(self.bytes) else 0)
        self.end = self.start + len(self.bytes)

    def cells(self, kind):
        """The aligned cells of a pointer kind, and the address of the first."""
        size = int(kind[3:]) // 8
        lead = -self.start % size
        count = max(0, len(self.bytes) - lead) // size
        return self.bytes[lead : lead + count * size].cast(CELLS[kind]), self.start + lead


class Pointer:
    """viper's ptr8, ptr16 or ptr32 into one buffer; or into none: a number in a local that is typed as a pointer."""

    def __init__(self, buffer, address, kind):
        self.buffer, self.address, self.kind = buffer, address, kind
        if buffer:
            self._bits = int(kind[3:])
            self._cells, first = buffer.cells(kind)
            self._index, self._astray = divmod(address - first, self._bits // 8)

    def _cell(self, index):
        if not self.buffer:
            raise Stray(f"{self.kind}({self.address:#x}) is in no buffer")
        index += self._index
        if self._astray or not 0 <= index < len(self._cells):
            where = self.address + (index - self._index) * self._bits // 8 - self.buffer.start
            raise Stray(f"{self.kind} at byte {where} of {self.buffer.name} ({len(self.buffer.bytes)} bytes)")
        return index

    def __getitem__(self, index):
        return self._cells[self._cell(index)]

    def __setitem__(self, index, value):
        index = self._cell(index)
        bits = self._bits
        if type(value) is not Wrapping and not -(1 << bits - 1) <= value < 1 << bits:
            raise Overflow(f"{value} stored through {self.kind}")
        if bits == 32:
            value = (int(value) + (1 << 31)) % (1 << 32) - (1 << 31)
        else:
            value &= (1 << bits) - 1
        self._cells[index] = value


class Memory:
    """The buffers of one call, and viper's words for reaching them."""

    def __init__(self):
        self.buffers = []

    def pointer(self, kind, value, name="buffer"):
        if isinstance(value, Pointer):
            return Pointer(value.buffer, value.address, kind)
        if isinstance(value, int):
            for buffer in self.buffers:
                if buffer.start - GAP // 2 <= value < buffer.end + GAP // 2:
                    return Pointer(buffer, value, kind)
            return Pointer(None, wide(value, f"{kind}()"), kind)
        buffer = Buffer(value, name, (self.buffers[-1].end if self.buffers else RAM) // 16 * 16 + GAP)
        self.buffers.append(buffer)
        return Pointer(buffer, buffer.start, kind)

    def receive(self, kind, name, value):
        """An argument as the kernel's annotation takes it; without one it stays an object."""
        if kind in CELLS:
            return self.pointer(kind, value, name)
        return to_int(value) if kind == "int" else to_uint(value) if kind == "uint" else value

    def words(self):
        words = {kind: (lambda value, kind=kind: self.pointer(kind, value)) for kind in CELLS}
        return words | {
            "int": to_int,
            "uint": to_uint,
            "_wide": wide,
            "_count": count,
            "_raw": raw,
            "_wrapping": Wrapping,
        }


def to_int(value):
    value = value.address if isinstance(value, Pointer) else int(value)
    return wide(value, "int()")


def to_uint(value):
    value = value.address if isinstance(value, Pointer) else value
    if not 0 <= value <= UINT_MAX:
        raise Overflow(f"uint({value}) has 64 bits on the desktop")
    return Uint(value)


def raw(value):
    """uint(pointer[i]): the 32 bits as they lie in memory."""
    return Uint(value & UINT_MAX)


def wide(value, where):
    if type(value) is not Uint and not INT_MIN <= value <= INT_MAX:
        raise Overflow(f"{where} = {value}")
    return value


def count(bits):
    if not 0 <= bits <= 31:
        raise Overflow(f"shift by {bits}")
    return bits


class _Check(ast.NodeTransformer):
    """Wraps each operator: `(_t if INT_MIN <= (_t := a + b) <= INT_MAX else _wide(_t, "a + b"))`."""

    def __init__(self, functions):
        self._functions = functions

    def visit_BinOp(self, node):
        text = ast.unparse(node)
        if isinstance(node.op, (ast.Div, ast.Pow, ast.MatMult)):
            raise Refused(text)
        self.generic_visit(node)
        if isinstance(node.op, (ast.LShift, ast.RShift)):
            node.right = _call("_count", node.right)
        return _checked(node, text)

    def visit_UnaryOp(self, node):
        text = ast.unparse(node)
        self.generic_visit(node)
        return node if isinstance(node.op, ast.Not) else _checked(node, text)

    def visit_Assign(self, node):
        """p[i] = uint(value) keeps the low bits, on the chip and on the desktop: a kernel says so that it means to."""
        meant = isinstance(node.targets[0], ast.Subscript) and isinstance(node.value, ast.Call)
        if meant and ast.unparse(node.value.func) == "uint":
            self.generic_visit(node.targets[0])
            node.value = _call("_wrapping", *map(self.visit, node.value.args))
            return node
        return self.generic_visit(node)

    def visit_AugAssign(self, node):
        value = ast.parse(ast.unparse(node.target), mode="eval").body
        return self.visit(ast.Assign([node.target], ast.BinOp(value, node.op, node.value)))

    def visit_Call(self, node):
        name = ast.unparse(node.func)
        if name not in WORDS and name not in self._functions:
            raise Refused(f"{name}() in a kernel")
        reinterprets = name == "uint" and isinstance(node.args[0], ast.Subscript)
        self.generic_visit(node)
        return _call("_raw", *node.args) if reinterprets else node


def _call(name, *arguments):
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _checked(node, text):
    kept = ast.Name("_t", ast.Load())
    test = ast.Compare(
        ast.Constant(INT_MIN),
        [ast.LtE(), ast.LtE()],
        [ast.NamedExpr(ast.Name("_t", ast.Store()), node), ast.Constant(INT_MAX)],
    )
    return ast.IfExp(test, kept, _call("_wide", kept, ast.Constant(text)))


def checked(kernel):
    """The kernel, rebuilt on its first call so that what the chip cannot do raises Overflow, Stray or Refused."""
    built = None

    def run(*arguments):
        nonlocal built
        if built is None:
            built = _rebuild(kernel)
        return built(*arguments)

    run.__name__, run.__doc__, run.__wrapped__ = kernel.__name__, kernel.__doc__, kernel
    return run


def _rebuild(kernel):
    tree = ast.parse(textwrap.dedent(inspect.getsource(kernel)))
    function = tree.body[0]
    function.decorator_list = []
    returns = ast.unparse(function.returns) if function.returns else None
    names = [argument.arg for argument in function.args.args]
    kinds = [ast.unparse(argument.annotation or ast.Constant(None)) for argument in function.args.args]
    for argument in function.args.args:
        argument.annotation = None
    function.returns = None
    functions = {name for name, value in kernel.__globals__.items() if inspect.isfunction(value)}
    tree = ast.fix_missing_locations(_Check(functions).visit(tree))
    module = compile(tree, inspect.getsourcefile(kernel), "exec")
    code = next(constant for constant in module.co_consts if isinstance(constant, types.CodeType))
    memory = Memory()
    body = types.FunctionType(code, kernel.__globals__ | memory.words())

    def run(*arguments):
        if len(arguments) != len(kinds):
            raise TypeError(f"{kernel.__name__}() takes {len(kinds)} arguments")
        memory.buffers.clear()
        result = body(*map(memory.receive, kinds, names, arguments))
        return int(result) if returns in ("int", "uint") else result

    return run


def install():
    """Make every kernel imported from now on a checked one (a no-op on MicroPython, where viper is real)."""
    from sourdine import native

    native.micropython.viper = staticmethod(checked)
