"""festival (BSD-like): run as a program, through its own Scheme."""

import json
from collections.abc import Sequence

from sourdine_board.mistake import Mistake

from ..store import Store
from .engine import Sound
from .program import answer, spoken
from .saying import Saying
from .voice import Voice

KNOWN = {"kal_diphone": "m", "ked_diphone": "m", "cmu_us_slt_arctic_hts": "f"}


class Speaker:
    """See Engine."""

    batch = 12

    def version(self, voice: Voice) -> str:
        if said := answer("festival", "--version"):
            return said.strip().splitlines()[0]
        raise Mistake("festival is not installed: apt install festival festvox-kallpc16k festvox-us-slt-hts")

    def reads(self, saying: Saying) -> str:
        return saying.line.text

    def voices(self, language: str) -> list[Voice]:
        there = answer("festival", "-b", "(print (voice.list))") if language == "en" else ""
        return [Voice("festival", name, "en-us", sex) for name, sex in KNOWN.items() if name in there]

    def say(self, sayings: Sequence[Saying], store: Store) -> list[Sound]:
        return [self._say(saying) for saying in sayings]

    def _say(self, saying: Saying) -> Sound:
        stretch = 1 / saying.speed
        text = json.dumps(saying.line.text, ensure_ascii=False)
        script = f"""(voice_{saying.voice.name})
            (Parameter.set 'Duration_Stretch {stretch:.4f})
            (set! said (utt.synth (Utterance Text {text})))
            (utt.save.wave said "{{wav}}" 'riff)"""
        return spoken(["festival", "-b", *(line.strip() for line in script.splitlines())])
