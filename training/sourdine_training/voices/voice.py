"""Who speaks, and on which side of the split."""

import hashlib
import re
from dataclasses import dataclass

VALID_SHARE = 0.18  # of the speakers that no table names
# Who is heard in validation only. Women and men, both Englishes, and others; never anybody's double (see DOUBLES).
VALID = frozenset(
    {"af_kore", "af_river", "am_liam", "am_puck", "bf_lily", "bm_lewis", "hf_beta", "im_nicola", "jf_gongitsune"}
    | {"jf_nezumi", "jf_tebukuro", "zm_yunyang", "awb"}  # the three jf are one timbre: cosine 0.87–0.93
)
TRAIN = frozenset({"af_heart", "slt", "rms", "kal", "ked", "joe"})  # where few speakers are, chance would not be fair
# The same person under two names: Kokoro's packs whose timbre has a cosine > 0.97; hibari was taught by af_heart;
# festival's and flite's slt were made of the same recordings.
DOUBLES = {
    "em_santa": "am_santa",
    "pm_santa": "am_santa",
    "pm_alex": "em_alex",
    "pf_dora": "ef_dora",
    "heart": "af_heart",
    "kal16": "kal",
    "kal_diphone": "kal",
    "cmu_us_slt_arctic_hts": "slt",
    "cmu_us_slt_arctic_clunits": "slt",
    "ked_diphone": "ked",
}
PACK = re.compile("[abefhijpz][fm]_[a-z]+")  # how Kokoro names its voices: language, sex, name
Part = tuple[str, float, float]  # a pack, its weight in the timbre, its weight in the prosody


@dataclass(frozen=True)
class Voice:
    """A voice of an engine. A mix of several has parts, and a name that only people read."""

    engine: str
    name: str
    language: str  # the voice's own, as "en-us", "en-gb", "fr"; it may speak others
    sex: str  # "f", "m", or "" when nobody can tell
    mix: tuple[Part, ...] = ()

    @property
    def speakers(self) -> frozenset[str]:
        """The people in it; one, unless it is a mix."""
        if self.engine == "espeak":  # accent+variant: the variant is the throat
            return frozenset({"espeak " + (self.name.partition("+")[2] or "itself")})
        names = [part[0] for part in self.mix] or [self.name.rpartition("/")[2]]
        return frozenset(DOUBLES.get(name, name) for name in names)

    @property
    def speaker(self) -> str:
        """The people in it as one name."""
        return "+".join(sorted(self.speakers))

    @property
    def split(self) -> str:
        """ "train" or "valid", by its people alone. Raises ValueError for a mix of both sides."""
        sides = {side(speaker) for speaker in self.speakers}
        if len(sides) > 1:
            raise ValueError(f"{self.speaker} mixes a voice of the validation into one of the training")
        return sides.pop()


def side(speaker: str) -> str:
    """ "train" or "valid" for one person."""
    if speaker in VALID or speaker in TRAIN:
        return "valid" if speaker in VALID else "train"
    if PACK.fullmatch(speaker):  # Kokoro's: who is not in VALID trains
        return "train"
    share = int.from_bytes(hashlib.sha256(f"side of {speaker}".encode()).digest()[:4]) / 2**32
    return "valid" if share < VALID_SHARE else "train"
