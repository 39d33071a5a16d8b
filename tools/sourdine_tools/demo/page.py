"""The picture and the proof on one self-contained page, with the three recordings to listen to and compare."""

import base64
import html
import io
from pathlib import Path

import numpy as np
import soundfile

from sourdine import spec
from sourdine_tools.demo.evening import Evening
from sourdine_tools.demo.note import accounting, headline

COLUMN = 1180  # CSS pixels of text, at most
MARGIN = 16  # CSS pixels beside the text
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sourdine: {headline}</title>
<style>
  :root {{ color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #e9e9e9; --good: #00694d; --bad: #b34700 }}
  @media (prefers-color-scheme: dark) {{
    :root {{ --ink: #e6e6e6; --paper: #17191a; --line: #3a3d3f; --good: #3fc79a; --bad: #ff9a57 }}
  }}
  body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: {column}px;
    margin: 2rem auto; padding: 0 {margin}px }}
  .wide {{ overflow-x: auto }}
  .wide img {{ display: block; background: #fff; border-radius: 6px }}
  @media (min-width: {narrow}px) {{ .fits {{ display: none }} }}
  h1 {{ font-size: 1.4rem; color: var(--{colour}) }}
  table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
  td, th {{ padding: .2rem 1.2rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line) }}
  .number {{ text-align: right }}
  li {{ overflow-wrap: anywhere }}
  audio {{ width: 100% }}
  .listen {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: 1rem }}
</style>
<h1>{headline}</h1>
<p>{title}. A simulated board ran the real firmware on real MicroPython; a real server listened.</p>
<p class="{hint}">The picture is wider than this window: move it sideways.</p>
<div class="wide"><img width="{wide}" src="data:image/png;base64,{picture}" alt="Five lanes over {seconds:.0f} seconds: what was said, what the
microphone heard, the wake score, what left the house, what the server kept. {headline}"></div>
<h2>Listen</h2>
<div class="listen">{players}</div>
<h2>Every byte that left</h2>
<table><tr><th>frame<th class=number>how many<th class=number>bytes{rows}</table>
<h2>The proof</h2>
<ul>{lines}</ul>
<p>Each sample that the simulated microphone gives carries one bit of a sequence in which no 32 bits occur twice. So
what arrived is recognised by itself, and nobody's counters, the firmware's least of all, had to be believed.</p>
</html>
"""


def write(evening: Evening, picture: Path, path: Path) -> None:
    """The page, with the picture and the sound inside it."""
    verdict = evening.verdict
    wide = int.from_bytes(picture.read_bytes()[16:20], "big") // 2  # PNG, section 11.2.2: width
    sounds = (
        ("What was said", evening.room),
        ("What the microphone heard", evening.heard),
        ("What left the house", evening.left()),
    )
    rows = [
        f"<tr><td>{html.escape(name)}<td class=number>{count:,}<td class=number>{verdict.bytes[name]:,}"
        for name, count in verdict.frames.items()
    ]
    lines = [*accounting(evening), *(f"Leak: {leak}" for leak in verdict.leaks)]
    text = PAGE.format(
        headline=html.escape(headline(evening)),
        title=html.escape(evening.scene.title),
        colour="good" if evening.good else "bad",
        wide=wide,
        column=COLUMN,
        margin=MARGIN,
        hint="fits" if wide <= COLUMN else "",  # a long room never does
        narrow=wide + 2 * MARGIN,
        picture=base64.b64encode(picture.read_bytes()).decode(),
        seconds=len(evening.room) / spec.SAMPLE_RATE,
        players="".join(_player(name, samples) for name, samples in sounds),
        rows="".join(rows),
        lines="".join(f"<li>{html.escape(line)}" for line in lines),
    )
    path.write_text(text, encoding="utf-8")


def _player(name: str, samples: np.ndarray) -> str:
    sound = io.BytesIO()
    soundfile.write(sound, samples, spec.SAMPLE_RATE, format="MP3")
    data = base64.b64encode(sound.getvalue()).decode()
    return f'<label>{name}<audio controls preload="none" src="data:audio/mpeg;base64,{data}"></audio></label>'
