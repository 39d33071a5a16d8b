"""Work for the executors' tests, where a spawned worker can import it."""

import os
import signal

import numpy as np


def noise(seed):
    """Bytes that depend on the item alone, by way of what rooms and voices use."""
    rng = np.random.default_rng([7, seed])
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(4096)) ** 2).astype(np.float32).tobytes()


def refuses_five(item):
    if item == 5:
        raise ValueError("no fives")
    return item


class Odd(Exception):
    """Cannot be sent from process to process: it is made from two things and tells of one."""

    def __init__(self, one, other):
        super().__init__(one)


def oddly(item):
    raise Odd("odd", item)


def dies(item):
    os.kill(os.getpid(), signal.SIGKILL)


def whoami(item):
    return os.getpid(), os.nice(0), os.environ.get("OMP_NUM_THREADS")
