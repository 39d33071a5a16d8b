"""A recipe: everything that decides what a training makes, in one TOML file.

    phrase = "hey sourdine"
    tier = "quick"          # what is not said here is as in this tier
    [words]
    near = 900

Each room defines the options of its own table; this page only collects them.
"""

import dataclasses
import tomllib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sourdine_board.mistake import Mistake
from sourdine_training import options
from sourdine_training.export.options import Options as Export
from sourdine_training.fit import Options as Fit
from sourdine_training.fit import VerifierOptions as FitVerifier
from sourdine_training.net import Options as Net
from sourdine_training.net import VerifierOptions as Verifier
from sourdine_training.pools import Options as Pools
from sourdine_training.rooms import Options as Rooms
from sourdine_training.sources import folders
from sourdine_training.voices import Options as Voices
from sourdine_training.words import Options as Words

TIERS = ("quick", "standard", "full")
FOLDER = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Recipe:
    """What to train and how. `seed` decides everything random, `seeds` is how many spotters compete."""

    phrase: str = ""
    language: str = "en"
    tier: str = "standard"
    seed: int = 1
    seeds: int = 1
    author: str = ""  # goes into the model's manifest
    recordings: bool = True  # speech, music and ambience from Debian's packages
    data: tuple[str, ...] = ()  # folders of recordings: voices, music, ambience
    takes: str = ""  # a folder of the owner saying the phrase
    negatives: str = ""  # a folder of what woke the board and was not the phrase
    words: Words = field(default_factory=Words)
    voices: Voices = field(default_factory=Voices)
    rooms: Rooms = field(default_factory=Rooms)
    pools: Pools = field(default_factory=Pools)
    net: Net = field(default_factory=Net)
    verifier: Verifier = field(default_factory=Verifier)
    fit: Fit = field(default_factory=Fit)
    fit_verifier: FitVerifier = field(default_factory=FitVerifier)
    export: Export = field(default_factory=Export)

    @property
    def name(self) -> str:
        """What the model's files are called: "Hé, sourdine!" → he_sourdine."""
        letters = unicodedata.normalize("NFKD", self.phrase).lower()
        words = "".join(c if c.isascii() and c.isalnum() else " " for c in letters if not unicodedata.combining(c))
        return "_".join(words.split())

    def text(self) -> str:
        """The recipe as TOML, with every option."""
        import tomli_w

        return tomli_w.dumps(options.table(self))


def of_tier(tier: str) -> Recipe:
    """The recipe of a tier, without a phrase."""
    if tier not in TIERS:
        raise Mistake(f"there is no tier `{tier}`: there are {', '.join(TIERS)}")
    path = FOLDER / f"{tier}.toml"
    return dataclasses.replace(options.filled(Recipe(), parsed(path), path.name), tier=tier)


def read(path: Path, **said: Any) -> Recipe:
    """The recipe in a file, on top of its tier. `said`, where it is not None, outweighs the file. Raises Mistake."""
    return build(parsed(path), str(path), **said)


def build(table: dict[str, Any], where: str = "recipe", **said: Any) -> Recipe:
    """The tier's recipe, then `table`, then what was said."""
    said = {name: value for name, value in said.items() if value is not None}
    tier = said.get("tier") or table.get("tier", Recipe.tier)
    return dataclasses.replace(options.filled(of_tier(str(tier)), table, where), **said)


def settled(recipe: Recipe, force: bool = False) -> Recipe:
    """The recipe as it will be cooked: a phrase that has a name, the voices that lie in its data folders."""
    if not recipe.name:
        raise Mistake('there is no phrase to train: name it in quotes, as in `sourdine train "hey sourdine"`')
    if recipe.seeds < 1:
        raise Mistake(f"{recipe.seeds} seeds train nothing: choose 1 or more")
    if recipe.seed < 0:
        raise Mistake(f"{recipe.seed} cannot be a seed: choose 0 or more")
    for name, net in (("net", recipe.net), ("verifier", recipe.verifier)):
        try:
            net.stack()
        except ValueError as error:
            raise Mistake(f"[{name}]: kernels, strides and filters hold one entry for each block: {error}") from error
    found = tuple(str(voice) for path in recipe.data for voice in folders.piper(Path(path)))
    own = dataclasses.replace(recipe.voices, piper_voices=(*recipe.voices.piper_voices, *found))
    said = dataclasses.replace(recipe.words, force=recipe.words.force or force)
    return dataclasses.replace(recipe, voices=own, words=said)


def parsed(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises Mistake."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise Mistake(f"cannot read {path} ({error.strerror}): name a recipe that is there") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(f"{path} is not TOML: {error}") from error
