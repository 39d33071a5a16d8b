"""What is to be said, and how much of each kind."""

from dataclasses import dataclass

KINDS = ("positive", "near", "partial", "running", "speech")


@dataclass(frozen=True)
class Line:
    """One thing for one voice to say.

    `text` is what an engine reads that takes spelling only. `phonemes` is what an engine says that takes phonemes:
    misaki's alphabet in English, espeak-ng's IPA elsewhere; "" leaves the reading to the engine.
    """

    text: str
    kind: str  # one of KINDS
    language: str  # "en", "fr"
    phonemes: str = ""


@dataclass(frozen=True)
class Options:
    """How many different lines of each kind are written, at most. A larger count extends a smaller one.

    Voices multiply the few positive lines; speech is said once each, so it needs many.
    """

    positive: int = 60
    near: int = 600
    partial: int = 80
    running: int = 400
    speech: int = 3000
    paused: int = 4  # of the positives, one in ten at most: a phrase of several words with a pause between them
    respelt: tuple[str, ...] = ()  # ways to spell the phrase that engines read better: "hey soor deen"
    force: bool = False  # train even on a phrase that the verdict refuses
