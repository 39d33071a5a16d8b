"""Everything that is to be said for one phrase."""

from .line import Line, Options
from .near import nears
from .partial import partials
from .phrase import Phrase
from .positive import positives
from .sentences import running, speech

HALVES = 200  # how many confusables and pieces the running sentences are made around


def lines(phrase: str, language: str, options: Options | None = None, seed: int = 0) -> list[Line]:
    """What voices shall say: first the phrase, then what is not the phrase, kind after kind.

    Within a kind a larger count extends a smaller one; `seed` draws the sentences, everything else depends on the
    phrase alone. Raises Mistake when the phrase cannot be read.
    """
    options = options or Options()
    said = Phrase.of(phrase, language)
    near, partial = nears(said, max(options.near, HALVES)), partials(said, max(options.partial, HALVES))
    halves = [line.text for line in (*partial[:HALVES], *near[:HALVES]) if not line.phonemes]
    return [
        *positives(said, options.positive, options.respelt, options.paused),
        *near[: options.near],
        *partial[: options.partial],
        *running(said, options.running, halves, seed),
        *speech(said, options.speech, seed),
    ]
