"""Without Debian's tools nothing of this runs, and everybody says what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sourdine_board.mistake import Mistake
from sourdine_tools.chip import toolchain
from sourdine_tools.chip.core import Core

ROOT = Path(__file__).parents[2]


def test_a_core_without_tools_names_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert toolchain.missing() == ["binutils-xtensa-lx106", "clang-22", "llvm-22", "qemu-user"]
    with pytest.raises(Mistake, match="apt-get install qemu-user clang-22 llvm-22 binutils-xtensa-lx106"):
        Core("xtensawin")


def test_an_architecture_that_is_none_of_ours_is_refused():
    with pytest.raises(ValueError, match="xtensawin, rv32imc"):
        Core("armv6m")


@pytest.mark.parametrize("arch", ["xtensawin", "rv32imc"])
def test_the_runtime_is_built_anew_in_an_empty_cache_and_then_kept(monkeypatch, tmp_path, arch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = [toolchain.runtime(arch), toolchain.plugin()]
    times = [path.stat().st_mtime_ns for path in built]
    assert all(tmp_path in path.parents for path in built)
    with Core(arch, counting=True) as core:
        assert (
            core.call({"xtensawin": bytes.fromhex("36410022a00b900000"), "rv32imc": bytes.fromhex("2d458280")}[arch])
            == 5
        )
        assert core.counts.own in {2, 3}
    assert [path.stat().st_mtime_ns for path in (toolchain.runtime(arch), toolchain.plugin())] == times
    assert sorted(path.name for path in built[0].parent.iterdir()) == [built[0].name]


@pytest.mark.parametrize(("required", "status", "says"), [("", 0, "skipped"), ("required", 1, "error")])
def test_tests_of_the_chip_skip_without_tools_unless_they_are_required(required, status, says):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "tests/chip/test_planted.py"],
        cwd=ROOT,
        env={**os.environ, "PATH": "/nonexistent", "SOURDINE_CHIP": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert says in done.stdout
    assert "binutils-xtensa-lx106, clang-22, llvm-22, qemu-user not installed: sudo apt-get install" in done.stdout
    assert "passed" not in done.stdout
