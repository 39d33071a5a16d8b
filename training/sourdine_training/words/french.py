"""French, as espeak-ng reads it (GPL-3: run as a program)."""

import re
import subprocess
from collections.abc import Sequence
from functools import lru_cache

from sourdine_board.mistake import Mistake

from .language import Accent, Language

_ACCENTS = (
    ("drawn out", ((r"ˈ([aeiouyøœɛɔɑ]\u0303?)", r"ˈ\1ː"),)),
    ("open", (("e", "ɛ"),)),
    ("closed", (("ɛ(?!\u0303)", "e"),)),
    ("South", (("([kdtnslmvʁzʒʃɡbpf])( |$)", r"\1ə\2"), ("o", "ɔ"))),
    ("Québec", (("t(?=[ˈˌ]?[iy])", "ts"), ("d(?=[ˈˌ]?[iy])", "dz"))),
    ("rolled r", (("ʁ", "r"),)),
    ("one stress", (("ˈ(?=.*ˈ)", ""),)),
    ("stress first", ((r"^([^ˈ]*?)([aeiouyøœɛɔɑ])(.*)ˈ", r"\1ˈ\2\3"),)),
    ("no schwa", (("ə", ""),)),
    ("Africa", (("ʁ", "ɾ"), ("y", "i"), ("œ", "ɛ"), ("ø", "e"))),
    ("English", (("ʁ", "ɹ"), ("y", "u"), ("e( |$)", r"A\1"), ("o( |$)", r"O\1"), ("ɔ\u0303", "ɔn"), ("ɑ\u0303", "ɑn"))),
    ("Spanish", (("ʁ", "r"), ("y", "u"), ("z", "s"), ("[øœə]", "e"), ("v", "b"))),
)


def normal(ipa: str) -> str:
    """espeak-ng's IPA without its notes on language and on linking."""
    ipa = re.sub(r"\([a-z-]+\)", "", ipa)
    return re.sub(r"\s+", " ", re.sub(r"[-‿_]", "", ipa)).strip()


def read(texts: Sequence[str]) -> list[str]:
    """The reading of each text. Raises Mistake when espeak-ng is missing."""
    if not texts:
        return []
    # a full stop and an empty line part the texts: otherwise neighbours would be linked
    script = "".join(re.sub(r"[\n.,?!;:…—]", " ", text) + ".\n\n" for text in texts)
    command = ["espeak-ng", "-v", "fr-fr", "-q", "--ipa", "--stdin"]
    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, encoding="utf-8", check=True)
    except FileNotFoundError:
        raise Mistake("French is read by espeak-ng, which is not here: install it (apt install espeak-ng)") from None
    lines = [normal(line) for line in done.stdout.splitlines()]
    if len(lines) != len(texts):
        raise Mistake(f"espeak-ng gave {len(lines)} readings of {len(texts)} texts: try version 1.51 or later")
    return lines


def readings(phrase: str) -> list[str]:
    """As a whole, and word by word."""
    whole, *words = read([phrase, *phrase.split()])
    return [whole, " ".join(words)]


@lru_cache(maxsize=1)
def lexicon() -> dict[str, str]:
    """Common words, most frequent first, as they are read alone."""
    from wordfreq import top_n_list

    words = [word for word in top_n_list("fr", 5000) if word.isalpha() and len(word) > 1]
    return dict(zip(words, read(words), strict=True))


FRENCH = Language(
    code="fr",
    name="French",
    voices=("kokoro/f*", "piper/fr*", "espeak/fr*", "kokoro/*"),
    letters="abcdefghijklmnopqrstuvwxyzàâäæçéèêëîïôöœùûüÿ",
    read=read,
    readings=readings,
    lexicon=lexicon,
    accents=tuple(Accent(name, rules) for name, rules in _ACCENTS),
)
