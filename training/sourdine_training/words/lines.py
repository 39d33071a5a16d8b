"""Everything that is to be said for one phrase."""

from .line import Line, Options
from .near import nears
from .phrase import Phrase
from .positive import positives


def lines(phrase: str, language: str, options: Options | None = None, seed: int = 0) -> list[Line]:
    """What voices shall say: first the phrase, then what is not the phrase, kind after kind.

    Within a kind a larger count extends a smaller one; `seed` draws the sentences, everything else depends on the
    phrase alone. Raises Mistake when the phrase cannot be read.
    """
    options = options or Options()
    said = Phrase.of(phrase, language)
    return [*positives(said, options.positive, options.respelt), *nears(said, options.near)]
