"""What the accelerator is tried with stays within what the kernels promise, and finds what is wrong with one."""

import pytest

from sourdine import dsp, fft, int8, mel, proof

ROOMS = {"dsp": dsp, "fft": fft, "int8": int8, "mel": mel}


class Accel:
    """An accelerator of these functions."""

    def __init__(self, **functions):
        self.__dict__.update(functions)


@pytest.mark.parametrize("room", proof.CASES)
def test_every_case_is_within_the_kernels_own_limits(room):
    """The checker that conftest.py installs raises for whatever would leave 32 bits or a buffer."""
    kernels = vars(ROOMS[room])
    for name, *arguments in proof.CASES[room](kernels):
        assert proof.difference(kernels[name], kernels[name], arguments) is None


@pytest.mark.parametrize("room", proof.CASES)
def test_a_room_that_is_equal_is_taken_whole(room):
    kernels = dict(vars(ROOMS[room]))
    twins = {name: (lambda *a, twin=kernels[name]: twin(*a)) for name, *_ in proof.CASES[room](kernels)}
    assert proof.choose(room, kernels, Accel(**twins)) == []
    assert all(kernels[name] is twin for name, twin in twins.items())
