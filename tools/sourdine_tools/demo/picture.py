"""The picture: five lanes on one time axis, and the figures of the proof under them.

Colours are Okabe and Ito's, which the colour-blind can tell apart; whatever a colour says, a word says too.
"""

import textwrap
from itertools import zip_longest
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sourdine import spec
from sourdine_tools.demo import frames as wire
from sourdine_tools.demo.evening import Evening
from sourdine_tools.demo.note import accounting, headline
from sourdine_tools.demo.scene import COMMAND, PRIVATE, WAKE, Scene, Utterance

RATE = spec.SAMPLE_RATE
INK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#e9e9e9"
GREEN, BLUE, ORANGE, RED = "#009e73", "#0072b2", "#e69f00", "#d55e00"
FOREST, BRICK = "#00694d", "#b34700"  # the same green and red for words: dark enough to read
KIND = {PRIVATE: GREY, WAKE: RED, COMMAND: BLUE}
CHARACTER, BOLD = 0.066, 0.074  # inches that a character of a caption takes
COLUMNS = 2400  # of a waveform's envelope
WIDTH, HEIGHT = 11.0, 9.4  # inches; a room longer than USUAL grows in width
USUAL = 42.0  # s
LANES = (2.7, 1.2, 1.2, 1.8, 1.0)  # relative heights
ROWS = (("audio", (wire.AUDIO,)), ("wake, end", (wire.WAKE, wire.END)), ("no audio", None))


def draw(evening: Evening, path: Path) -> None:
    """Write the PNG."""
    seconds = len(evening.room) / RATE
    width = WIDTH * min(max(seconds / USUAL, 1), 5)
    figure = Figure(figsize=(width, HEIGHT), dpi=200, facecolor="white")
    FigureCanvasAgg(figure)
    left, right = 1.55 / width, 1 - 1.3 / width
    grid = figure.add_gridspec(5, 1, height_ratios=LANES, left=left, right=right, top=0.922, bottom=0.215, hspace=0.13)
    lanes = [figure.add_subplot(grid[0])]
    lanes += [figure.add_subplot(grid[i], sharex=lanes[0]) for i in range(1, 5)]
    for lane in lanes:
        _dress(lane, evening, seconds)
    _said(lanes[0], evening)
    _heard(lanes[1], evening)
    _score(lanes[2], evening)
    _left(lanes[3], evening)
    _kept(lanes[4], evening)
    lanes[-1].tick_params(labelbottom=True)
    lanes[-1].set_xlabel("seconds", fontsize=9, color=GREY, labelpad=1)
    _heading(figure, evening, left)
    _figures(figure, evening, left)
    figure.savefig(path, dpi=200)


def _dress(lane, evening: Evening, seconds: float) -> None:
    """What all lanes share: frame, time axis, lawful intervals, the button."""
    lane.set_xlim(0, seconds)
    lane.set_yticks([])
    lane.tick_params(labelbottom=False, labelsize=9, colors=GREY, length=3)
    for side in ("top", "left", "right"):
        lane.spines[side].set_visible(False)
    lane.spines["bottom"].set_color(PALE)
    for start, stop in evening.verdict.lawful:
        lane.axvspan(start / RATE, stop / RATE, color=GREEN, alpha=0.13, linewidth=0, zorder=0)
    for start, stop in mutes(evening.scene, seconds):
        lane.axvspan(start, stop, facecolor="#f4f4f4", edgecolor="#c8c8c8", hatch="///", linewidth=0, zorder=0)
        for at in (start, stop):
            if at < seconds:
                lane.axvline(at, color=INK, linewidth=0.9, zorder=1)


def mutes(scene: Scene, seconds: float) -> list[tuple[float, float]]:
    """(s, s) from each press to its release."""
    found, since = [], None
    for at, do in scene.events:
        if do == "press" and since is None:
            since = at
        elif do == "release" and since is not None:
            found.append((since, at))
            since = None
    return found + ([(since, seconds)] if since is not None else [])


def _label(lane, number: int, title: str, under: str, beside: str) -> None:
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center"}
    lane.annotate(f"{number}  {title}", (0, 0.5), (-106, 9), fontsize=9.5, weight="bold", color=INK, **place)
    lane.annotate(under, (0, 0.5), (-93, -9), fontsize=8.5, color=GREY, linespacing=1.25, **place)
    lane.annotate(beside, (1, 0.5), (8, 0), fontsize=8.5, color=INK, linespacing=1.35, **place)


def _wave(lane, samples: np.ndarray, colour: str, first: int = 0, scale: float = 32768.0, **more) -> None:
    """The envelope of int16 samples from room sample `first` on."""
    step = max(len(samples) // COLUMNS, 1)
    columns = samples[: len(samples) // step * step].reshape(-1, step) / scale
    at = (first + np.arange(len(columns)) * step) / RATE
    lane.fill_between(at, columns.min(axis=1), columns.max(axis=1), color=colour, linewidth=0.35, **more)


def _loudest(samples: np.ndarray) -> float:
    return max(float(np.abs(samples.astype(np.int32)).max(initial=0)), 1000.0)


def _said(lane, evening: Evening) -> None:
    scale = _loudest(evening.room)
    lane.set_ylim(-3.9, 4.6)
    _wave(lane, evening.room, PALE, scale=scale)
    for said in evening.scene.utterances:
        first = round(said.at * RATE)
        _wave(lane, evening.room[first : first + round(said.seconds * RATE)], KIND[said.kind], first, scale)
    seconds = len(evening.room) / RATE
    _captions(lane, [said for said in evening.scene.utterances if said.kind == PRIVATE], seconds)
    _captions(lane, [said for said in evening.scene.utterances if said.kind != PRIVATE], seconds)
    for start, stop in mutes(evening.scene, seconds):
        lane.text((start + stop) / 2, 4.5, "mute button in", fontsize=8.5, weight="bold", ha="center", va="top")
    _label(lane, 1, "said", "in the room", f"{len(evening.scene.utterances)} utterances\n{seconds:.0f} s")


def caption(said: Utterance) -> str:
    """Who, and what if that is known."""
    return f"{said.who}: {said.text}" if said.text else said.who


def _captions(lane, row: list[Utterance], seconds: float) -> None:
    """Who said what: talk above the wave, words for the speaker below it, none over another.

    A caption starts where its utterance does, or a bit to the left if the next one leaves too little room.
    A wake word is short, so its caption ends where the word ends.
    """
    taken = 0.0
    for said, following in zip_longest(row, row[1:]):
        inches = CHARACTER if said.kind == PRIVATE else BOLD
        character = inches / lane.bbox.width * lane.figure.dpi * seconds  # s
        text, private, wake = caption(said), said.kind == PRIVATE, said.kind == WAKE
        end = following.at if following else seconds + 4 * character
        if following and following.kind == WAKE:
            end += following.seconds - (len(caption(following)) + 1) * character
        wanted = next(n for n in range(8, 1000) if len(textwrap.wrap(text, n)) <= 4) * character
        at = said.at + said.seconds - len(text) * character if wake else min(said.at, end - wanted)
        at = max(at, taken)
        words = textwrap.wrap(text, max(min(round((end - at) / character), 30), 6))
        if len(words) > 4:
            words = [*words[:3], words[3] + " …"]
        lane.text(
            at, 1.35 if private else -1.35, "\n".join(words), fontsize=8, linespacing=1.15,
            color=INK if private else KIND[said.kind], style="italic" if private else "normal",
            weight="normal" if private else "bold", va="bottom" if private else "top",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.8},
        )  # fmt: skip
        taken = at + (max(map(len, words)) + 1) * character


def _heard(lane, evening: Evening) -> None:
    lane.set_ylim(-1.1, 1.1)
    _wave(lane, evening.heard, INK, scale=_loudest(evening.heard))
    silent = (evening.heard == 0).mean() * len(evening.room) / RATE
    for start, stop in mutes(evening.scene, len(evening.room) / RATE):
        if not evening.heard[round((start + 0.01) * RATE) : round(stop * RATE)].any():
            _remark(lane, (start + stop) / 2, "nothing: every sample is 0")
    _label(lane, 2, "heard", "by the microphone", f"no power,\nall zeros:\n{silent:.1f} s")


def _remark(lane, at: float, text: str, colour: str = INK) -> None:
    lane.text(
        at, 0.5, text, transform=lane.get_xaxis_transform(), fontsize=8.5, color=colour, ha="center", va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2.5}, zorder=5,
    )  # fmt: skip


def _score(lane, evening: Evening) -> None:
    lane.set_ylim(-0.06, 1.12)
    at, score = evening.scores[:, 0], evening.scores[:, 1].copy()
    score[np.flatnonzero(np.diff(at) > 0.2)] = np.nan  # no features, no score: the microphone was off
    lane.fill_between(at, 0, score, color=ORANGE, alpha=0.45, linewidth=0, step="post")
    lane.plot(at, score, color="#a56f00", linewidth=0.9, drawstyle="steps-post")
    lane.axhline(evening.cutoff, color=RED, linewidth=0.9, linestyle=(0, (4, 2)))
    for start, stop in mutes(evening.scene, len(evening.room) / RATE):
        if not ((at > start + 0.1) & (at < stop)).any():
            _remark(lane, (start + stop) / 2, "nothing to score")
    lane.text(0.15, evening.cutoff - 0.05, f"cutoff {evening.cutoff:g}", fontsize=8, color=RED, va="top")
    woken = len(evening.verdict.lawful)
    _label(lane, 3, "wake score", f"of “{evening.word}”", f"woken {woken}\n{'time' if woken == 1 else 'times'}")


def _left(lane, evening: Evening) -> None:
    verdict = evening.verdict
    lane.set_ylim(-4.3, 1.6)
    lawful = np.zeros(len(evening.room), bool)
    for start, stop in verdict.lawful:
        lawful[start:stop] = True
    sound = evening.left()
    scale = _loudest(sound)
    spans = _spans(verdict.left)
    for first, stop in spans:
        inside = lawful[first:stop]
        _wave(lane, np.where(inside, sound[first:stop], 0), GREEN, first, scale)
        if not inside.all():
            _wave(lane, np.where(inside, 0, sound[first:stop]), RED, first, scale, zorder=3)
    leaks = [(stop - first, (first + stop) / 2 / RATE) for first, stop in spans if not lawful[first:stop].all()]
    if leaks:
        lane.text(max(leaks)[1], 1.2, "LEAK", fontsize=9.5, weight="bold", color=BRICK, ha="center", va="bottom")
    named = {name for _, names in ROWS if names for name in names}
    for row, (title, names) in enumerate(ROWS):
        chosen = [p for p in verdict.pieces if (p.name in names if names else p.name not in named)]
        at = [piece.at / RATE for piece in chosen]
        count = sum(n for name, n in verdict.bytes.items() if (name in names if names else name not in named))
        y = -1.75 - 1.0 * row
        lane.plot(at, [y] * len(at), "|", color=INK, markersize=6, markeredgewidth=0.7, clip_on=False)
        lane.annotate(
            f"{title}: {count:,} B", (1, y), (8, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            fontsize=8.5, va="center", color=INK,
        )  # fmt: skip
    n = len(verdict.left)
    _label(lane, 4, "left", "the house, by TLS", "")
    lane.annotate(
        f"{n:,} samples\n{n / RATE:.1f} s", (1, 0), (8, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", fontsize=8.5, va="center", linespacing=1.35,
    )  # fmt: skip


def _spans(indices: np.ndarray) -> list[tuple[int, int]]:
    """[from, to[ of each stretch of sorted sample indices; a hole of a tenth of a second parts them."""
    parts = np.split(indices, np.flatnonzero(np.diff(indices) > RATE // 10) + 1)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts if len(part)]


def _kept(lane, evening: Evening) -> None:
    held = evening.buffered
    most = max(held[:, 1].max(initial=0), 1.0)
    lane.set_ylim(-0.05 * most, 1.25 * most)
    seconds = len(evening.room) / RATE
    at, count = np.append(held[:, 0], seconds), np.append(held[:, 1], held[-1:, 1] if len(held) else 0)
    lane.fill_between(at, 0, count, color=BLUE, alpha=0.35, step="post", linewidth=0)
    lane.plot(at, count, color=BLUE, linewidth=1, drawstyle="steps-post")
    _label(
        lane,
        5,
        "kept",
        "by the server, bytes",
        f"peak {most / 1000:,.0f} kB,\nnow {int(count[-1])} B;\non disk {evening.on_disk}",
    )


def _heading(figure: Figure, evening: Evening, left: float) -> None:
    figure.text(left, 0.97, "What was said, and what left the house", fontsize=15, weight="bold", color=INK)
    entries = (("private talk", GREY, 1), ("wake word", RED, 1), ("command", BLUE, 1))
    entries += (("may leave: from the wake to its end", GREEN, 0.2),)
    figure.legend(
        [Patch(facecolor=colour, alpha=alpha) for _, colour, alpha in entries], [name for name, *_ in entries],
        loc="upper left", bbox_to_anchor=(left, 0.958), ncols=4, frameon=False, fontsize=9, borderpad=0,
        borderaxespad=0, handlelength=1.1, handleheight=1.0, columnspacing=1.6, handletextpad=0.5,
    )  # fmt: skip


def _figures(figure: Figure, evening: Evening, left: float) -> None:
    colour = FOREST if evening.good else BRICK
    words = textwrap.wrap(headline(evening), 88)[:2]
    figure.text(left, 0.16, "\n".join(words), fontsize=13, weight="bold", color=colour, va="top")
    down = 0.022 * (len(words) - 1)
    for i, line in enumerate(accounting(evening)):
        figure.text(left, 0.115 - down - 0.0245 * i, line, fontsize=8.8, color=INK, va="center")
