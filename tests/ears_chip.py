"""What runs inside MicroPython for tests and benchmarks of the ears; tests/ears.py starts it.

    micropython tests/ears_chip.py JOBS.json OUT

JOBS.json is a list of jobs, each with "model" (a .tflite) or "manifest" (a .json), and "features" (raw int8,
40 a row) or "samples" (raw int16) with "lengths" (rows or samples of each clip in it). OUT gets, per job, one
JSON line: the bytes it wrote to job["out"] are probabilities, one per step, and wakes are [clip, feature, score].
"""

import gc
import json
import sys
import time
from array import array

sys.path.insert(0, "firmware")

import micropython
from sourdine import spec
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


class Given:
    """In place of the frontend: features that the host computed."""

    def feed(self, row):
        return row

    def reset(self):
        pass


def wakes(job):
    """Every clip from a fresh start, through the frontend if the job has samples: [[clip, feature, score], ...]."""
    wake = Wake.load(job["manifest"])
    if "samples" in job:
        from sourdine.frontend import Frontend

        ears, block, per_row = Frontend(), array("h", bytes(2 * spec.HOP)), spec.HOP
    else:
        ears, block, per_row = Given(), bytearray(ROW), 1
    found, spent_us, hops = [], 0, 0
    with open(job.get("samples") or job["features"], "rb") as file:
        for clip, length in enumerate(job["lengths"]):
            ears.reset()
            wake.reset()
            for i in range(length // per_row):
                file.readinto(block)
                start = time.ticks_us()
                features = ears.feed(block)
                if features is not None and wake.hear(features):
                    found.append([clip, i, wake.score])
                spent_us += time.ticks_diff(time.ticks_us(), start)
                hops += 1
    return {"wakes": found, "hops": hops, "us": spent_us}


def main(path, out):
    with open(path) as file:
        jobs = json.load(file)
    with open(out, "w") as file:
        for job in jobs:
            result = probabilities(job) if "model" in job else wakes(job)
            file.write(json.dumps(result) + "\n")


main(sys.argv[1], sys.argv[2])
