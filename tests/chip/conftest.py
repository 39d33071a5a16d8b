"""What runs the chip's code is Debian's; without it these tests are skipped, unless SOURDINE_CHIP=required."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sourdine_tools.chip import mpy, toolchain

ARCHES = ("xtensawin", "rv32imc")


@pytest.fixture(autouse=True, scope="session")
def tools() -> None:
    if missing := toolchain.missing():
        reason = f"{', '.join(missing)} not installed: {toolchain.INSTALL}"
        if os.environ.get("SOURDINE_CHIP") == "required":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Callable[[str, str], dict[str, bytes]]:
    """compiled(source, arch): the machine code of each function in the text of a module."""

    def compile_(source: str, arch: str) -> dict[str, bytes]:
        path: Path = tmp_path_factory.mktemp("kernels") / "kernels.py"
        path.write_text(source)
        return mpy.compiled(path, arch)

    return compile_
