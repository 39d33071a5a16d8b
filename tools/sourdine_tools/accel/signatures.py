"""How the viper kernels are called, read from the firmware's source."""

import ast
from dataclasses import dataclass
from pathlib import Path

from sourdine_tools.release import FIRMWARE

MODULES = ("dsp", "fft", "mel", "int8")


@dataclass(frozen=True)
class Signature:
    """A viper kernel's name and types: "ptr8", "ptr16", "ptr32", "int"; `returns` may be ""."""

    module: str
    name: str
    arguments: tuple[tuple[str, str], ...]
    returns: str

    def stub(self) -> str:
        """The same function for mpy-cross, with nothing in it."""
        arguments = ", ".join(f"{name}: {kind}" for name, kind in self.arguments)
        arrow, body = (f" -> {self.returns}", "return 0") if self.returns else ("", "pass")
        return f"@micropython.viper\ndef {self.name}({arguments}){arrow}:\n    {body}\n"

    def entry(self) -> str:
        """What MicroPython calls, in C (viper.h): it converts the arguments, calls the kernel, and converts back."""
        read = [
            f"{'POINTER' if kind.startswith('ptr') else 'INTEGER'}({i})" for i, (_, kind) in enumerate(self.arguments)
        ]
        leave = "RETURN_INT" if self.returns else "RETURN_NONE"
        return f"ENTRY({self.name}, {len(read)}) {leave}({self.name}({', '.join(read)})); }}\n"


def signatures(source: Path = FIRMWARE) -> dict[str, Signature]:
    """Kernel → signature, of every viper function in the rooms that compute."""
    found = {}
    for module in MODULES:
        for node in ast.parse((source / f"sourdine/{module}.py").read_text()).body:
            if isinstance(node, ast.FunctionDef) and "micropython.viper" in map(ast.unparse, node.decorator_list):
                arguments = tuple((a.arg, ast.unparse(a.annotation) if a.annotation else "") for a in node.args.args)
                returns = ast.unparse(node.returns) if node.returns else ""
                if (
                    node.name in found
                    or {kind for _, kind in arguments} - {"ptr8", "ptr16", "ptr32", "int"}
                    or returns not in ("", "int")
                ):
                    raise ValueError(f"{module}.{node.name} cannot be accelerated by name and signature")
                found[node.name] = Signature(module, node.name, arguments, returns)
    return found
