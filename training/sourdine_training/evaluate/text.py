"""A judgement in words: one sentence that says where a model stands, and tables for a terminal."""

import statistics
from collections.abc import Iterable
from math import comb

from sourdine_training.evaluate.result import SHIPPED, Judged, Point, Result, Share

PROVEN = 0.05  # two-sided, of the clips that only one of two missed


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.9995 else "100 %"


def interval(share: Share) -> str:
    return f"{100 * share.low:.1f} to {100 * share.high:.1f} %"


def number(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"


def duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 0.1 else f"{60 * hours:.0f} min"


def verdict(judged: Judged, result: Result, rate: str = "0.5") -> str:
    """Where it stands, plainly; and if it is no peer, against the peers that heard the same."""
    spoken = judged.word.replace("_", " ")
    at = judged.points.get(rate)
    if at is None:
        best = judged.points[SHIPPED].false
        return (
            f"{judged.name}: no {judged.unit} keeps {spoken!r} down to {rate} false accepts an hour here; as shipped it has "
            f"{best.per_hour:.1f} an hour."
        )
    clean = at.misses["clean"]
    text = f"{judged.name} misses {percent(clean.share)} of clean {spoken!r} ({interval(clean)}) and "
    text += f"{percent(at.misses['5 dB'].share)} at 5 dB at {rate} false accepts an hour"
    text += f", {latency(at)}" if at.latencies else ""
    others = [each for each in result.judged if each.peer and each.word == judged.word and rate in each.points]
    return " ".join([f"{text}.", *(compared(judged, each, rate) for each in others if not judged.peer)])


def latency(at: Point) -> str:
    middle, most = quantiles(at.latencies)
    return f"and wakes {1000 * middle:.0f} ms after the word's end (95 % within {1000 * most:.0f} ms)"


def quantiles(late: list[float]) -> tuple[float, float]:
    """Median, and what 95 % keep to."""
    return statistics.median(late), sorted(late)[max(0, -(-95 * len(late) // 100) - 1)]


def compared(one: Judged, other: Judged, rate: str) -> str:
    """Who misses fewer of the same clips, clean and at 5 dB, and whether these clips prove it."""
    parts = []
    for condition in ("clean", "5 dB"):
        mine, theirs = one.points[rate].missed[condition], other.points[rate].missed[condition]
        difference = sum(mine.values()) - sum(theirs.values())
        only = [sum(max(0.0, a[name] - b.get(name, 0)) for name in a) for a, b in ((mine, theirs), (theirs, mine))]
        if abs(difference) < 0.05:
            parts.append(f"as many {condition}")
            continue
        luck = "" if chance(round(only[0]), round(only[1])) < PROVEN else " (may be luck)"
        parts.append(f"{number(abs(difference))} {'more' if difference > 0 else 'fewer'} {condition}{luck}")
    return f"Against {other.name} it misses {' and '.join(parts)}.".replace(" 5 dB", " at 5 dB")


def chance(only_one: int, only_other: int) -> float:
    """Exact probability that two equals would differ so much (McNemar): of the clips that only one of them missed."""
    n, k = only_one + only_other, min(only_one, only_other)
    return min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n)


def table(rows: Iterable[Iterable[object]]) -> str:
    """Columns under one another; the first to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        first, *rest = (
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def report(result: Result) -> str:
    """What stands on stdout."""
    hours = ", ".join(f"{kind} {hours:.2f} h" for kind, hours in result.hours.items())
    out = [f"negatives: {sum(result.hours.values()):.2f} h ({hours})"]
    for word, clips in result.clips.items():
        mine = [each for each in result.judged if each.word == word]
        out += ["", f"{word.replace('_', ' ')}: {clips} clips", "", _misses(mine), "", _costs(mine), ""]
        out += [verdict(each, result) for each in mine]
    return "\n".join([*out, *(["", *result.notes] if result.notes else [])])


def _misses(judged: list[Judged]) -> str:
    conditions = list(judged[0].points[SHIPPED].misses)
    rows = [["", "at FA/h", "threshold", *conditions, "FA/h there (95 %)", "near misses"]]
    for each in judged:
        for label, at in each.points.items():
            shares = [f"{number(s.count)}/{s.of} {percent(s.share)}" for s in at.misses.values()]
            low, middle, high = at.thresholds
            chosen = f"{middle:.2f}" if low == high else f"{middle:.2f} ({low:.2f}..{high:.2f})"
            false = f"{at.false.per_hour:.2f} ({at.false.low:.2f}..{at.false.high:.2f})"
            near = f"{number(at.confusables.count)}/{at.confusables.of}" if at.confusables.of else "-"
            rows.append([each.name, label, chosen, *shares, false, near])
    return table(rows)


def _costs(judged: list[Judged]) -> str:
    rows = [["", "late at 0.5", "95 %", "bytes", "arena", "MMAC/s", "CPU s/s"]]
    for each in judged:
        at = each.points.get("0.5", each.points[SHIPPED])
        late = [f"{1000 * value:.0f} ms" for value in quantiles(at.latencies)] if at.latencies else ["-", "-"]
        costs = each.costs
        size = [f"{value:,}" if value is not None else "-" for value in (costs.bytes, costs.arena)]
        macs = "-" if costs.macs is None else f"{costs.macs / 1e6:.2f}"
        macs += f" + {costs.verifier_macs / 1e6:.2f} M when asked" if costs.verifier_macs else ""
        rows.append([each.name, *late, *size, macs, f"{costs.cpu:.4f}"])
    return table(rows)
