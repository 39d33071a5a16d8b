"""An evening in the house: what was said, heard, sent and kept, as the demo's witnesses saw it."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from sourdine import spec
from sourdine_tools.demo.proof import Verdict
from sourdine_tools.demo.scene import COMMAND, PRIVATE, WAKE, Scene, Utterance

RATE = spec.SAMPLE_RATE
AFTER = 0.6  # s after its last sound within which a wake word is recognised
WHOLE = 0.95  # of its samples: so much of a command must arrive; the first may fall to the fence


@dataclass
class Hearing:
    """What became of each wake word."""

    heard: list[Utterance] = field(default_factory=list)
    missed: list[Utterance] = field(default_factory=list)
    deaf: list[Utterance] = field(default_factory=list)  # said while the button was in, and not heard
    false: list[float] = field(default_factory=list)  # s: woken by something else


@dataclass
class Evening:
    """All that the picture, the page and the note show."""

    scene: Scene
    room: np.ndarray  # int16: what sounded
    heard: np.ndarray  # int16: what the microphone gave
    scores: np.ndarray  # float [n, 2]: s, wake score 0 … 1
    reference: np.ndarray  # the same by another implementation
    cutoff: float  # of the score
    verdict: Verdict
    buffered: np.ndarray  # float [n, 2]: s, bytes that the server held
    on_disk: int  # samples of the room found in the server's files
    word: str = "Alexa"

    def left(self) -> np.ndarray:
        """What left the house, int16, each sample where the room made it; zeros elsewhere."""
        sound = np.zeros(len(self.room), np.int16)
        for piece in self.verdict.pieces:
            known = piece.indices >= 0
            sound[piece.indices[known]] = piece.samples[known]
        return sound

    @property
    def good(self) -> bool:
        """Whether nothing left that may not, and nothing was kept."""
        return not self.verdict.leaks and not self.on_disk

    @property
    def as_scripted(self) -> bool:
        """Whether the board did its job: every wake word said to it heard, nothing else, and each command arrived."""
        words = self.hearing()
        whole = all(arrived > WHOLE * samples for _, arrived, samples in self.commands())
        return bool(words.heard) and not (words.missed or words.false) and whole

    def hearing(self) -> Hearing:
        """Each wake word with the decision that came during it or shortly after."""
        found, wakes = Hearing(), [start / RATE for start, _ in self.verdict.lawful]
        for said in self.scene.utterances:
            if said.kind == WAKE:
                answers = [at for at in wakes if said.at <= at <= said.at + said.seconds + AFTER]
                wakes = [at for at in wakes if at not in answers]
                (found.heard if answers else found.deaf if said.muted else found.missed).append(said)
        found.false = wakes
        return found

    def best_scores(self, said: Utterance) -> tuple[float, float]:
        """The highest wake score during an utterance or shortly after: the board's, and the reference's."""
        best = []
        for at, score in (self.scores.T, self.reference.T):
            best.append(float(score[(at >= said.at) & (at <= said.at + said.seconds + AFTER)].max(initial=0.0)))
        return best[0], best[1]

    def commands(self) -> list[tuple[Utterance, int, int]]:
        """(command, samples of it that left, its samples) for each that followed a wake word that was heard."""
        heard = self.hearing().heard
        asked = [said for word, said in pairwise(self.scene.utterances) if word in heard and said.kind == COMMAND]
        return [(said, *self._left_of(said)) for said in asked]

    def private(self) -> tuple[int, int]:
        """(samples of private talk that left, samples of private talk)."""
        found = [self._left_of(said) for said in self.scene.utterances if said.kind == PRIVATE]
        return sum(gone for gone, _ in found), sum(total for _, total in found)

    def _left_of(self, said: Utterance) -> tuple[int, int]:
        first, last = round(said.at * RATE), round((said.at + said.seconds) * RATE)
        left = self.verdict.left
        return int(np.count_nonzero((left >= first) & (left < last))), last - first
