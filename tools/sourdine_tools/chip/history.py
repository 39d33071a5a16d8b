"""Counts of earlier commits (benchmarks/chip.json), and whether today's are worse.

A list of entries, the newest last: date, commit, versions, workload, real-time factors, and instructions by name:
"frontend", "frame" (the microphone's with it), "frame fft.spectrum", "alexa", "alexa CONV_2D 1x1 int8.dense".
"""

import datetime
import json
import subprocess
from typing import Any

from sourdine_board.mistake import Mistake
from sourdine_tools.release import FIRMWARE

FILE = FIRMWARE.parent / "benchmarks" / "chip.json"
SLACK = 0.03  # a share of the instructions, by which a change may pass the latest entry

_KEPT = ("date", "commit", "versions", "workload", "rtf_s3", "rtf_esp32")


def counts(figures: dict[str, Any]) -> dict[str, int]:
    """Instructions by name, of everything that is counted on its own."""
    found = {"frontend": figures["frontend_instructions"]}
    found["frame"] = figures["frame"]["instructions"]
    found |= {f"frame {row['kernel']}": row["instructions"] for row in figures["stages"]}
    for net in figures["models"]:
        found[net["model"]] = net["instructions"]
        for part in net["parts"]:
            for kernel in part["kernels"]:
                found[f"{net['model']} {part['operator']} {kernel['kernel']}"] = kernel["instructions"]
    return found


def entry(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: figures[key] for key in _KEPT} | {"instructions": counts(figures)}


def read() -> list[dict[str, Any]]:
    """Every entry, the newest last. Raises Mistake for a file that is something else."""
    if not FILE.exists():
        return []
    try:
        entries = json.loads(FILE.read_text())
        newest = entries[-1]
        if {*newest} != {*_KEPT, "instructions"} or not all(newest["instructions"].values()):
            raise ValueError("its last entry is incomplete")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Mistake(f"{FILE} is no history of counts ({error}): take it from git again") from error
    return entries


def record(figures: dict[str, Any]) -> bool:
    """Append today's figures; False if the latest entry has the same ones already."""
    entries = read()
    new = entry(figures)
    when = {key: new[key] for key in ("date", "commit")}
    if entries and entries[-1] | when == new:
        return False
    FILE.write_text(json.dumps([*entries, new], indent=1) + "\n")
    return True


def compare(old: dict[str, Any], figures: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(worse, better): a sentence for each count that rose by more than SLACK, and for each that fell by more.

    What is in one of them only is not compared: the totals hold it.
    """
    worse, better = [], []
    today = counts(figures)
    for name, before in old["instructions"].items():
        now = today.get(name, before)
        change = now / before - 1
        if abs(change) > SLACK:
            (worse if change > 0 else better).append(f"{name}: {before:,} → {now:,} instructions ({change:+.1%})")
    if worse and old["versions"] != figures["versions"]:
        worse.append(f"the entry was compiled with {old['versions']}, this with {figures['versions']}")
    return worse, better


def commit() -> str:
    """Of the checkout, with a "+" if its firmware has changed since; "none" outside one."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "none"


def today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=FIRMWARE, capture_output=True, text=True, check=True).stdout.strip()
