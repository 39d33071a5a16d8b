"""A judgement to look at: matplotlib figures, by day and by night, drawn without any global state."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from sourdine_training.evaluate.result import SHIPPED, Judged, Result
from sourdine_training.evaluate.text import duration, quantiles

WIDTH, DPI = 6.6, 160  # inches, and dots in one: sharp on a telephone and large enough to read there
KEPT = {"clean": ("-", 2.4, 1.0), "5 dB": ((0, (4, 1.6)), 1.5, 0.8)}  # conditions with a curve: line, width, strength
BRIEF_H = 0.25  # a kind of fewer hours tells too little for a picture
LATE_MS, LATEST_MS = 150, 300  # what is wanted of the median, and of 95 %


@dataclass(frozen=True)
class Theme:
    paper: str
    ink: str
    faint: str
    grid: str
    colours: tuple[str, ...]

    def of(self, judged: list[Judged]) -> dict[str, str]:
        """A colour for each name, in their order."""
        return {each.name: self.colours[i % len(self.colours)] for i, each in enumerate(judged)}


DAY = Theme(
    "#fffdf9", "#2b2622", "#8a8178", "#e9e3da", ("#0b6e75", "#d5721b", "#8156a8", "#b0243f", "#55749b", "#7d7a2e")
)
NIGHT = Theme(
    "#1d1b19", "#ece5dc", "#958c82", "#37322d", ("#4cc3c8", "#f2a35c", "#b996dd", "#ef6f83", "#93b4dd", "#c5c26a")
)


def png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return file.getvalue()


def draw(result: Result, word: str, theme: Theme) -> dict[str, bytes]:
    """The pictures of one word as PNGs, by name."""
    mine = [each for each in result.judged if each.word == word]
    found = {"misses": misses(mine, theme), "det": det(mine, sum(result.hours.values()), theme)}
    found["false"] = false(mine, theme)
    if any(_best(each).latencies for each in mine):
        found["latency"] = latency(mine, theme)
    return {name: png(figure) for name, figure in found.items()}


def _best(judged: Judged) -> Any:
    """The point that pictures are about: half a false accept an hour, else as shipped."""
    return judged.points.get("0.5", judged.points[SHIPPED])


def _figure(theme: Theme, height: float, rows: int = 1) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), facecolor=theme.paper, layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(rows, 1, i + 1) for i in range(rows)]
    for axis in axes:
        axis.set_facecolor(theme.paper)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        axis.spines["bottom"].set_color(theme.faint)
        axis.tick_params(colors=theme.faint, labelcolor=theme.ink, labelsize=11, length=0, pad=6)
        axis.set_axisbelow(True)
    return figure, axes


def _title(figure: Any, theme: Theme, text: str, below: str) -> None:
    """A heading, under it the legend if there are several names, and what the marks mean at the foot."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.supxlabel(below, x=0.012, ha="left", color=theme.faint, fontsize=10)
    if len(names) < 2:
        figure.suptitle(text, x=0.012, ha="left", color=theme.ink, fontsize=14, fontweight="bold")
        return
    legend = figure.legend(
        handles, names, loc="outside upper left", ncols=min(len(names), 3), frameon=False, labelcolor=theme.ink,
        fontsize=11, handlelength=1.2, handletextpad=0.5, columnspacing=1.6, borderaxespad=0.1,
        title=text, alignment="left", title_fontproperties={"size": 14, "weight": "bold"},
    )  # fmt: skip
    legend.get_title().set_color(theme.ink)


def _offsets(count: int, spread: float) -> list[float]:
    return [(i - (count - 1) / 2) * spread for i in range(count)]


def misses(judged: list[Judged], theme: Theme) -> Any:
    """Share of clips missed by condition, with intervals."""
    conditions = list(judged[0].points[SHIPPED].misses)
    figure, [axis] = _figure(theme, 1.5 + 0.26 * len(conditions) * max(2, len(judged)))
    colours = theme.of(judged)
    for each, offset in zip(judged, _offsets(len(judged), 0.8 / max(2, len(judged))), strict=True):
        for row, condition in enumerate(conditions):
            share = _best(each).misses[condition]
            low, middle, high = 100 * share.low, 100 * share.share, 100 * share.high
            y = row + offset
            axis.plot([low, high], [y, y], color=colours[each.name], lw=5, alpha=0.28, solid_capstyle="round")
            axis.plot([middle], [y], "o", color=colours[each.name], ms=7, label=each.name if row == 0 else None)
            axis.annotate(
                f"{middle:.1f}",
                (high, y),
                (7, 0),
                textcoords="offset points",
                va="center",
                color=theme.ink,
                fontsize=10,
            )
    axis.set_yticks(range(len(conditions)), conditions)
    axis.set_ylim(len(conditions) - 0.45, -0.55)
    axis.set_xlim(
        -0.8, min(112, 1.12 * max(100 * _best(each).misses[c].high for each in judged for c in conditions) + 3)
    )
    axis.grid(axis="x", color=theme.grid, lw=1)
    axis.xaxis.set_major_formatter("{x:.0f} %")
    _title(figure, theme, "Missed, at half a false accept an hour", "bars: 95 % intervals (Wilson)")
    return figure


def det(judged: list[Judged], hours: float, theme: Theme) -> Any:
    """Misses against false accepts per hour, over all thresholds."""
    figure, [axis] = _figure(theme, 4.7)
    colours = theme.of(judged)
    clips = judged[0].points[SHIPPED].misses["clean"].of
    left, low = 0.5 / hours, 50 / clips
    axis.set_xscale("log")
    axis.set_yscale("log")
    for each in judged:
        for condition, (line, width, alpha) in KEPT.items():
            points = _staircase(each.curves[condition], left, low)
            name = each.name if condition == "clean" else None
            axis.plot(
                *zip(*points, strict=True), ls=line, lw=width, alpha=alpha, color=colours[each.name], label=name,
                drawstyle="steps-post",
            )  # fmt: skip
            shipped = each.points[SHIPPED]
            spot = max(shipped.false.per_hour, left), max(100 * shipped.misses[condition].share, low)
            axis.plot(*spot, "o", ms=9, mfc=theme.paper, mec=colours[each.name], mew=2.2, zorder=5)
    for rate in (0.5, 1, 2):
        axis.axvline(rate, color=theme.faint, lw=0.8, ls=":", zorder=0)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if tick > 1.5 * left]
    axis.set_xticks([left, *ticks], ["none", *(f"{tick:g}" for tick in ticks)])
    shares = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100) if tick > 1.4 * low]
    axis.set_yticks([low, *shares], ["none", *(f"{tick:g} %" for tick in shares)])
    axis.minorticks_off()
    axis.set_xlim(left * 0.85, 24)
    axis.set_ylim(low * 0.85, 110)
    axis.grid(color=theme.grid, lw=1)
    axis.set_xlabel("false accepts an hour", color=theme.ink, fontsize=11)
    _title(
        figure,
        theme,
        "Missed, against how often it is wrong",
        f"solid clean, dashed 5 dB; rings as shipped; {hours:.1f} h",
    )
    return figure


def _staircase(curve: list[tuple[float, float, float]], left: float, low: float) -> list[tuple[float, float]]:
    """(false accepts per hour, percent missed): the fewest misses that so many false accepts buy, within the picture."""
    best, points = 1.0, []
    for wrong, miss, _ in sorted(curve):
        best = min(best, miss)
        points.append((max(wrong, left), max(100 * best, low)))
    return points


def false(judged: list[Judged], theme: Theme) -> Any:
    """False accepts per hour by kind, at half one an hour and as shipped."""
    hours = {kind: rate.hours for kind, rate in judged[0].points[SHIPPED].kinds.items()}
    kinds = [kind for kind in hours if hours[kind] >= BRIEF_H] or list(hours)
    figure, [axis] = _figure(theme, 1.7 + 0.26 * len(kinds) * max(2, len(judged)))
    colours = theme.of(judged)
    most = 1.0
    for each, offset in zip(judged, _offsets(len(judged), 0.8 / max(2, len(judged))), strict=True):
        for row, kind in enumerate(kinds):
            rate, shipped = _best(each).kinds[kind], each.points[SHIPPED].kinds[kind]
            y, colour = row + offset, colours[each.name]
            axis.plot([rate.low, rate.high], [y, y], color=colour, lw=5, alpha=0.28, solid_capstyle="round")
            name = each.name if row == 0 else None
            axis.plot([rate.per_hour], [y], "o", color=colour, ms=7, label=name, clip_on=rate.per_hour > 0)
            axis.plot([shipped.per_hour], [y], "o", ms=9, mfc="none", mec=colour, mew=1.6, clip_on=shipped.per_hour > 0)
            most = max(most, rate.high, shipped.per_hour)
    names = [f"{kind}\n{duration(hours[kind])}" for kind in kinds]
    axis.set_yticks(range(len(kinds)), names)
    axis.set_ylim(len(kinds) - 0.45, -0.55)
    axis.set_xlim(-0.012 * min(most, 20), 1.05 * min(most, 20))
    axis.grid(axis="x", color=theme.grid, lw=1)
    axis.set_xlabel("false accepts an hour", color=theme.ink, fontsize=11)
    _title(
        figure,
        theme,
        "What wakes it wrongly",
        "dots: where all kinds together have 0.5; rings: as shipped; bars: 95 % intervals (Poisson)",
    )
    return figure


def latency(judged: list[Judged], theme: Theme) -> Any:
    """How long after the word's end it wakes, one histogram under another."""
    judged = [each for each in judged if _best(each).latencies]
    figure, axes = _figure(theme, 1.25 + 1.3 * len(judged), len(judged))
    edges = np.arange(-300, 725, 25)
    for each, axis in zip(judged, axes, strict=True):
        late = np.clip(1000 * np.array(_best(each).latencies), edges[0], edges[-1] - 1)
        axis.hist(late, edges, color=theme.of(judged)[each.name], rwidth=0.9)
        middle, most = (1000 * value for value in quantiles(_best(each).latencies))
        for value in (0, LATE_MS, LATEST_MS):
            axis.axvline(value, color=theme.faint, lw=0.8, ls=":" if value else "-", zorder=0)
        axis.set_yticks([])
        axis.set_xlim(edges[0], edges[-1])
        axis.set_xticks(
            range(-300, 701, 100), [str(t) for t in range(-300, 701, 100)] if axis is axes[-1] else [""] * 11
        )
        text = f"{each.name}: median {middle:.0f} ms, 95 % within {most:.0f} ms"
        axis.set_title(text, loc="left", color=theme.ink, fontsize=11, pad=4)
    axes[-1].set_xlabel("milliseconds after the word's end", color=theme.ink, fontsize=11)
    _title(
        figure, theme, "How late it wakes", "clean clips; dotted: 150 and 300 ms; a word's end is known to about 30 ms"
    )
    return figure
