"""The judgement: detectors over an exam, counted so that no threshold sees what it is scored on.

Negatives and clips are in eight parts of different speakers. The threshold for a rate of false accepts is chosen on
the negatives of four parts; the misses and false accepts of the other four are counted at it. That is done for all 70
ways to choose four, and the counts are means over them: so what is chosen by luck does not decide.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sourdine_board.mistake import Mistake
from sourdine_training.evaluate import corpus, counts, reels
from sourdine_training.evaluate.corpus import COUNTED, PARTS, Recording
from sourdine_training.evaluate.detectors import Detector, wakes, where
from sourdine_training.evaluate.reels import CONDITIONS, Reel
from sourdine_training.evaluate.result import SHIPPED, Judged, Point, Rate, Result, Share
from sourdine_training.executor import Executor
from sourdine_training.store import Store

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Exam:
    """What is played for one word."""

    word: str
    positives: dict[str, list[Reel]]  # by condition
    negatives: list[Reel]

    @property
    def all(self) -> list[Reel]:
        return [*(reel for each in self.positives.values() for reel in each), *self.negatives]


def exam(recordings: Iterable[Recording], word: str, further: Iterable[Recording] = ()) -> Exam:
    """Mistake when nobody says the word, or when there are no negatives.

    further  negatives alone: with them or without them, the clips sound the same
    """
    recordings = list(recordings)
    clips, others = corpus.for_word(recordings, word)
    if not clips:
        known = ", ".join(corpus.words(recordings)) or "no word at all"
        raise Mistake(f"nobody says {word!r} there; there is {known}: choose with --word, or add positive/{word}/")
    talkers = [each for each in others if each.kind == "speech"]
    if not talkers:
        raise Mistake("there is no speech to be false about: add negative/speech/, or name a folder with --negatives")
    measured = reels.rooms(recordings)
    positives = {name: list(reels.positives(clips, name, talkers, measured)) for name in CONDITIONS}
    return Exam(word, positives, list(reels.negatives([*others, *further])))


def silent(_done: int, _total: int, _what: str) -> None:
    """Say nothing."""


def evaluate(
    detectors: list[Detector],
    recordings: list[Recording],
    store: Store,
    executor: Executor,
    progress: Progress = silent,
    notes: Iterable[str] = (),
    further: Iterable[Recording] = (),
) -> Result:
    """Judge detectors, each on its word. Everything heard is kept in the store: what was judged before costs nothing.

    further  negatives of elsewhere, as of exam()
    """
    further = list(further)
    exams = {word: exam(recordings, word, further) for word in dict.fromkeys(each.word for each in detectors)}
    _prepare(detectors, exams, store, executor, progress)
    result = Result([], {}, {}, {}, list(notes))
    for word, each in exams.items():
        result.clips[word] = sum(len(reel.pieces) for reel in each.positives["clean"])
    first = next(iter(exams.values()))
    by_path = {each.path: each.source for each in [*recordings, *further]}
    for reel in first.negatives:
        if reel.kind in COUNTED:
            hours = sum(map(_hours, reels.hear(reel, store).marks))
            result.hours[reel.kind] = result.hours.get(reel.kind, 0) + hours
            source = by_path.get(reel.pieces[0].paths[0], "")
            result.sources[source] = result.sources.get(source, 0) + hours
    for number, detector in enumerate(detectors):
        progress(number, len(detectors), f"counting {detector.name}")
        result.judged.append(_judge(detector, exams[detector.word], store, result.rates))
    progress(len(detectors), len(detectors), "counting")
    return result


def _prepare(
    detectors: list[Detector], exams: dict[str, Exam], store: Store, executor: Executor, progress: Progress
) -> None:
    """Everything that must be heard is heard, features first, the slow ones last."""
    every = {reel.key: reel for each in exams.values() for reel in each.all}
    jobs = [("making reels", None, reel, store) for reel in every.values() if not reels.kept(reel, store).exists()]
    for detector in sorted(detectors, key=lambda each: each.hears == "samples"):
        name = f"{detector.name} listens for {detector.word}"
        missing = [each for each in exams[detector.word].all if not where(detector, each, store).exists()]
        jobs += [(name, detector, reel, store) for reel in missing]
    for at, name in enumerate(executor.map(_do, jobs), 1):
        progress(at, len(jobs), name)


def _do(job: tuple[str, Detector | None, Reel, Store]) -> str:
    """One reel made, or heard by a detector; its name."""
    name, detector, reel, store = job
    if detector:
        wakes(detector, reel, store)
    else:
        reels.hear(reel, store)
    return name


@dataclass
class _Heard:
    """All wakes of a detector in an exam."""

    hits: dict[str, NDArray[np.bool_]]  # by condition [rungs, clips]
    late: dict[str, NDArray[np.float64]]  # seconds after the word's end; NaN where it did not wake, or nobody is sure
    parts: NDArray[np.int64]  # of the clips
    clips: list[str]
    false: dict[str, NDArray[np.int64]]  # by kind [PARTS, rungs]
    hours: dict[str, NDArray[np.float64]]  # by kind [PARTS]
    where: list[tuple[int, int, str, float, str]]  # of each false accept: part, rung, recording, second, kind
    confused: NDArray[np.int64]  # [PARTS, rungs]
    confusable: NDArray[np.int64]  # [PARTS] clips


def _judge(detector: Detector, exam: Exam, store: Store, rates: list[float]) -> Judged:
    heard = _listen(detector, exam, store)
    false, hours = sum(heard.false.values()), sum(heard.hours.values())
    assert isinstance(false, np.ndarray)
    assert isinstance(hours, np.ndarray)
    rungs = len(detector.ladder)
    shipped = np.zeros((PARTS, rungs + 1))
    shipped[:, detector.shipped] = 1
    points = {SHIPPED: _point(SHIPPED, detector, heard, shipped)}
    for rate in rates:
        weights = counts.crossed(false, hours, rate)
        if weights[:, :-1].any():
            points[f"{rate:g}"] = _point(f"{rate:g}", detector, heard, weights)
    total = false.sum(axis=0) / hours.sum()
    curves = {
        name: [(float(total[rung]), float(1 - hit[rung].mean()), float(detector.ladder[rung])) for rung in range(rungs)]
        for name, hit in heard.hits.items()
    }
    return Judged(detector.name, detector.word, detector.unit, detector.peer, detector.costs(), points, curves)


def _listen(detector: Detector, exam: Exam, store: Store) -> _Heard:
    rungs = len(detector.ladder)
    heard = _Heard({}, {}, np.zeros(0, np.int64), [], {}, {}, [], *_zeros(rungs))
    for condition, group in exam.positives.items():
        columns, clips, parts = [], [], []
        for reel in group:
            found = wakes(detector, reel, store)
            for number, (piece, [mark]) in enumerate(zip(reel.pieces, reels.hear(reel, store).marks, strict=True)):
                columns.append(_first(*found.of(number), mark, rungs))
                clips.append(mark.path)
                parts.append(piece.part)
        first = np.array(columns).transpose(1, 2, 0)
        heard.hits[condition], heard.late[condition] = ~np.isnan(first[0]), first[1]
        folder = os.path.commonpath([path.parent for path in clips])
        heard.clips, heard.parts = [str(path.relative_to(folder)) for path in clips], np.array(parts)
    for reel in exam.negatives:
        sounds, found = reels.hear(reel, store), wakes(detector, reel, store)
        for number, piece in enumerate(reel.pieces):
            rung, time = found.of(number)
            if reel.kind in COUNTED:
                false = heard.false.setdefault(reel.kind, np.zeros((PARTS, rungs), np.int64))
                false[piece.part] += np.bincount(rung, minlength=rungs)
                heard.hours.setdefault(reel.kind, np.zeros(PARTS))[piece.part] += _hours(sounds.marks[number])
                for each, at in zip(rung.tolist(), time.tolist(), strict=True):
                    heard.where.append((piece.part, each, *_where(at, sounds.marks[number]), reel.kind))
            else:
                heard.confusable[piece.part] += 1
                heard.confused[piece.part] += np.bincount(rung, minlength=rungs) > 0
    return heard


def _hours(marks: list[reels.Mark]) -> float:
    """Of the recordings alone, without the noise between them."""
    return sum(each.end - each.begin for each in marks) / 3600


def _zeros(rungs: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.zeros((PARTS, rungs), np.int64), np.zeros(PARTS, np.int64)


def _first(rung: NDArray[np.int64], time: NDArray[np.float64], mark: reels.Mark, rungs: int) -> NDArray[np.float64]:
    """[2, rungs]: the first wake after the clip began, and how long after the word's end; NaN without one."""
    first = np.full(rungs, np.nan)
    for each, at in zip(rung[::-1].tolist(), time[::-1].tolist(), strict=True):
        if at >= mark.begin:
            first[each] = at
    return np.stack([first, first - mark.word_end])


def _where(time: float, marks: list[reels.Mark]) -> tuple[str, float]:
    """The recording that a stream's wake belongs to, and the second in it."""
    mark = next((each for each in reversed(marks) if time >= each.begin), marks[0])
    return str(Path(*mark.path.parts[-2:])), round(time - mark.begin, 2)


def _point(label: str, detector: Detector, heard: _Heard, weights: NDArray[np.float64]) -> Point:
    """Everything of a part counted at the rungs that it is scored at. weights: [PARTS, rungs + 1], see counts.crossed."""
    scored = weights[:, :-1]
    of_clip = scored[heard.parts].T  # [rungs, clips]
    misses, missed = {}, {}
    for condition, hit in heard.hits.items():
        often = 1 - (of_clip * hit).sum(axis=0)
        misses[condition] = _share(float(often.sum()), len(often))
        missed[condition] = {
            name: round(float(share), 3) for name, share in zip(heard.clips, often, strict=True) if share > 1e-6
        }
    kinds = {
        kind: _rate(float((scored * false).sum()), float(heard.hours[kind].sum()))
        for kind, false in heard.false.items()
    }
    total = _rate(sum(each.count for each in kinds.values()), sum(each.hours for each in kinds.values()))
    confused = _share(float((scored * heard.confused).sum()), int(heard.confusable.sum()))
    return Point(
        label,
        _thresholds(detector, scored),
        float(weights[:, -1].mean()),
        misses,
        total,
        kinds,
        confused,
        missed,
        _woke(heard, scored),
        _latencies(heard, of_clip),
    )


def _thresholds(detector: Detector, scored: NDArray[np.float64]) -> tuple[float, float, float]:
    """Lowest, median and highest that anything was scored at."""
    share = scored.sum(axis=0) / scored.sum()
    used = np.flatnonzero(share)
    middle = int(np.searchsorted(np.cumsum(share), 0.5))
    values = [float(detector.ladder[rung]) for rung in (used[0], middle, used[-1])]
    return min(values), values[1], max(values)


def _woke(heard: _Heard, scored: NDArray[np.float64]) -> list[tuple[str, float, str, float]]:
    """False accepts, the most frequent first; those within a second of one another are one."""
    often: dict[tuple[str, int, str], list[float]] = {}
    for part, rung, path, at, kind in heard.where:
        if scored[part, rung] > 0:
            entry = often.setdefault((path, round(at), kind), [0.0, at])
            entry[0] += float(scored[part, rung])
    found = [(path, at, kind, round(min(1.0, share), 3)) for (path, _, kind), (share, at) in often.items()]
    return sorted(found, key=lambda each: (-each[3], each[0], each[1]))


def _latencies(heard: _Heard, of_clip: NDArray[np.float64]) -> list[float]:
    """Of each clean clip that woke it, the mean over the ways to halve, sorted."""
    late = heard.late["clean"]
    known = ~np.isnan(late)
    weight = (of_clip * known).sum(axis=0)
    mean = (of_clip * np.where(known, late, 0)).sum(axis=0) / np.maximum(weight, 1e-9)
    return sorted(round(float(each), 3) for each in mean[weight > 1e-6])


def _share(count: float, of: int) -> Share:
    return Share(count, of, *counts.wilson(count, of))


def _rate(count: float, hours: float) -> Rate:
    return Rate(count, hours, *counts.poisson(count, hours))
