"""What is inside a .mpy file: the machine code of its functions, by name.

Source: MicroPython's py/persistentcode.c, version 6.3 of the format (docs/reference/mpyfiles.rst).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from sourdine_tools import release

VERSION, SUB_VERSION = 6, 3
FLAGS = 0x40  # in the third byte: a number with the processor's extensions follows the head
# An object's kind, of those that py/persistentcode.h lists.
CONSTANTS, TEXTS, TUPLE = range(5), (5, 6), 10
BYTECODE, NATIVE, VIPER = 0, 1, 2
RODATA, BSS, RELOCATED = 0x20, 0x40, 0x80  # scope flags (py/runtime0.h); compiled Python has none of these


class _Reader:
    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise ValueError(f"the .mpy file ends too early, at byte {len(self._data)}")
        self._at += size
        return taken

    def number(self) -> int:
        """Seven bits a byte, the highest first."""
        value = 0
        while True:
            byte = self.take(1)[0]
            value = value << 7 | byte & 127
            if byte < 128:
                return value
            if value >> 32:
                raise ValueError(f"no .mpy file: a number past 32 bits at byte {self._at}")

    def end(self) -> None:
        if self._at < len(self._data):
            raise ValueError(f"no .mpy file: {len(self._data) - self._at} bytes follow its end")


def functions(mpy: bytes, source: str) -> dict[str, bytes]:
    """Name → machine code of every viper and native function, in the order of `source`, the .py text it is from.

    Raises ValueError for what is no .mpy file of version 6.3 with machine code, or not of this source.
    """
    reader = _Reader(mpy)
    _head(reader)
    qstrs, objects = reader.number(), reader.number()
    for _ in range(qstrs):
        length = reader.number()
        if not length & 1:  # else one of MicroPython's own, by number
            reader.take((length >> 1) + 1)
    for _ in range(objects):
        _object(reader, 0)
    codes = list(_codes(reader, 0))
    reader.end()
    names = list(_names(ast.parse(source)))
    if len(names) != len(codes) or len(set(names)) < len(names):
        raise ValueError(f"the .mpy file has {len(codes)} native functions, its source {len(set(names))}: {names}")
    return dict(zip(names, codes, strict=True))


def deployed(arch: str) -> dict[str, dict[str, bytes]]:
    """Module → kernel → machine code of all that `sourdine flash` would put on a board of this architecture."""
    modules = {}
    for path in sorted((release.FIRMWARE / "sourdine").rglob("*.py")):
        source = path.read_text()
        if any(_names(ast.parse(source))):
            name = path.relative_to(release.FIRMWARE)
            code = functions(release.compiled(path, name.as_posix(), arch), source)
            modules[".".join(name.with_suffix("").parts[1:])] = code
    return modules


def _head(reader: _Reader) -> None:
    magic, version, feature, _ = reader.take(4)
    if magic != ord("M"):
        raise ValueError("no .mpy file: it does not begin with M")
    if (version, feature & 3) != (VERSION, SUB_VERSION):
        raise ValueError(f"a .mpy file of version {version}.{feature & 3}, not {VERSION}.{SUB_VERSION}")
    if feature & FLAGS:
        reader.number()


def _object(reader: _Reader, depth: int) -> None:
    kind = reader.take(1)[0]
    if kind in CONSTANTS:
        return
    if kind > TUPLE or depth > 16:
        raise ValueError(f"no .mpy file: an object of kind {kind}, {depth} tuples deep")
    length = reader.number()
    if kind == TUPLE:
        for _ in range(length):
            _object(reader, depth + 1)
    else:
        reader.take(length + (kind in TEXTS))  # these end in a zero


def _codes(reader: _Reader, depth: int) -> Iterator[bytes]:
    """A function's machine code, if it has any, then its children's."""
    if depth > 64:
        raise ValueError("no .mpy file: functions 64 deep")
    head = reader.number()
    kind, code = head & 3, reader.take(head >> 3)
    if kind > VIPER:
        raise ValueError("assembler is not for this harness")
    if kind != BYTECODE:
        scope = reader.number()  # or where the prelude is
        if kind == VIPER and scope & (RODATA | BSS | RELOCATED):
            raise ValueError("a native module that needs a linker")
        yield code
    if head & 4:
        for _ in range(reader.number()):
            yield from _codes(reader, depth + 1)


def _names(node: ast.AST) -> Iterator[str]:
    """Functions marked viper or native, in the order in which the compiler stores them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef) and any(
            isinstance(mark, ast.Attribute) and mark.attr in {"viper", "native"} for mark in child.decorator_list
        ):
            yield child.name
        yield from _names(child)


def compiled(path: Path, arch: str) -> dict[str, bytes]:
    """The functions of one source file, compiled as a release compiles it."""
    return functions(release.compiled(path, path.name, arch), path.read_text())
