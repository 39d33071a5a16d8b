"""What runs inside MicroPython for tests and benchmarks of the ears; ears.py starts it.

    micropython tests/ears_chip.py JOBS.json OUT

JOBS.json is a list of jobs, each one of
    {"model": a .tflite, "features": raw int8, 40 a row, "out": file}     a probability per step into `out`
    {"manifests": [a .json, ...], "samples": raw int16, "lengths": [...]}  wakes in clips of so many samples
OUT gets one line of JSON per job. Times are host microseconds.
"""

import gc
import json
import sys
import time
from array import array

sys.path.insert(0, "firmware")

import micropython

from sourdine import spec
from sourdine.frontend import Frontend
from sourdine.tflite import Model
from sourdine.wake import Wake

ROW = spec.CHANNELS


def probabilities(job):
    """Step a model through all features with the heap locked; what it costs."""
    gc.collect()
    before = gc.mem_alloc()
    with open(job["model"], "rb") as file:
        model = Model(file)
    gc.collect()
    ram = gc.mem_alloc() - before
    size = model.stride * ROW
    row = bytearray(size)
    spent_us = steps = 0
    with open(job["features"], "rb") as features, open(job["out"], "wb") as out:
        while features.readinto(row) == size:
            start = time.ticks_us()
            micropython.heap_lock()
            try:
                probability = model.step(row)
            finally:
                micropython.heap_unlock()
            spent_us += time.ticks_diff(time.ticks_us(), start)
            out.write(bytes([probability]))
            steps += 1
    sizes = {"arena": model.arena, "weights": model.weights, "macs": model.macs, "stride": model.stride}
    return dict(sizes, ram=ram, steps=steps, us=spent_us)


def wakes(job):
    """Each clip through a fresh frontend and fresh models: for each manifest [[clip, feature, score], ...]."""
    ears = Frontend()
    listeners = [Wake.load(path) for path in job["manifests"]]
    found = [[] for _ in listeners]
    spent_us = [0] * len(listeners)
    frontend_us = 0
    block = array("h", bytes(2 * spec.HOP))
    with open(job["samples"], "rb") as file:
        for clip, length in enumerate(job["lengths"]):
            ears.reset()
            for wake in listeners:
                wake.reset()
            row = 0
            for _ in range(length // spec.HOP):
                file.readinto(block)
                start = time.ticks_us()
                features = ears.feed(block)
                frontend_us += time.ticks_diff(time.ticks_us(), start)
                if features is None:
                    continue
                for i, wake in enumerate(listeners):
                    start = time.ticks_us()
                    if wake.hear(features):
                        found[i].append([clip, row, wake.score])
                    spent_us[i] += time.ticks_diff(time.ticks_us(), start)
                row += 1
    return {"wakes": found, "frontend_us": frontend_us, "us": spent_us}


def main(path, out):
    with open(path) as file:
        jobs = json.load(file)
    with open(out, "w") as file:
        for job in jobs:
            result = probabilities(job) if "model" in job else wakes(job)
            file.write(json.dumps(result) + "\n")


main(sys.argv[1], sys.argv[2])
