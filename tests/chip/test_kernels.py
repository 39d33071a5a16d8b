"""Every kernel that `sourdine flash` deploys, in the chip's own machine code, against its plain meaning.

Not one bit may differ, and nothing but the outputs may change. `pytest tests/chip/test_kernels.py -s` prints what
was tried.
"""

from contextlib import ExitStack
from functools import lru_cache

import pytest

from chip.trial import tried
from chip.vectors.calls import KERNELS, RANDOM
from sourdine_tools.chip import mpy
from sourdine_tools.chip.core import Core

ARCHES = ("xtensawin", "rv32imc")
ENOUGH = 10_000  # random calls of each kernel

deployed = lru_cache(mpy.deployed)


@pytest.fixture(scope="session")
def cores():
    with ExitStack() as stack:
        yield {arch: stack.enter_context(Core(arch)) for arch in ARCHES}


@pytest.mark.parametrize("arch", ARCHES)
def test_every_deployed_kernel_has_a_definition(arch):
    assert {(module, kernel) for module, kernels in deployed(arch).items() for kernel in kernels} == set(KERNELS)


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("kernel", KERNELS, ids=".".join)
def test_machine_code_does_what_the_definition_says(cores, arch, kernel):
    module, name = kernel
    trial = tried(cores[arch], deployed(arch)[module][name], kernel)
    print(f"\n{module}.{name} on {arch}: {trial}", end="")
    assert trial.mismatches == 0, trial.first
    assert trial.counts[RANDOM] >= ENOUGH
