"""Runs the demo from the first voice to the last line of the note."""

import argparse
from pathlib import Path

from sourdine_tools import cli
from sourdine_tools.demo import broken, note, page, picture, real, scene
from sourdine_tools.demo.evening import Evening
from sourdine_tools.demo.scene import Scene
from sourdine_tools.demo.stage import Stage, on_stage
from sourdine_tools.demo.steps import Steps
from sourdine_tools.release import FIRMWARE


def show(arguments: argparse.Namespace, work: Path) -> int:
    """Play, prove, draw. Returns the exit status."""
    steps = Steps()
    stem = "broken" if arguments.break_gate else "real" if arguments.real else "demo"
    scenes = _scenes(arguments, work, steps)
    source = FIRMWARE
    if arguments.break_gate:
        with steps("break the gate, in a copy of the firmware"):
            source = broken.broken_firmware(work)
    with on_stage(work, steps) as stage:
        stage.set_up(source)
        evenings = []
        for number, each in enumerate(scenes, 1):
            evening = stage.play(each)
            name = f"{stem}-{number}" if len(scenes) > 1 else stem
            with steps("draw the picture"):
                picture.draw(evening, arguments.out / f"{name}.png")
                page.write(evening, arguments.out / f"{name}.png", arguments.out / f"{name}.html")
            evenings.append((name, evening))
        steps.say("", *(line for name, evening in evenings for line in _told(arguments.out / name, evening)))
        if len(evenings) > 1:
            steps.say(*note.summary([evening for _, evening in evenings]))
        (arguments.out / f"{stem}.txt").write_text(note.text([evening for _, evening in evenings]), encoding="utf-8")
        if arguments.break_gate:
            _verify(stage, steps)
    steps.say(f"done in {steps.seconds:.0f} s")
    if not all(evening.good for _, evening in evenings):
        return 1
    if arguments.real or arguments.talk:  # whom the model misses there is for the note, not for the exit status
        return 0
    if not all(evening.as_scripted for _, evening in evenings):
        steps.say("but a wake word was missed, or a command did not arrive whole: see the figures above")
        return 1
    return 0


def _scenes(arguments: argparse.Namespace, work: Path, steps: Steps) -> list[Scene]:
    clips = work / "clips"
    if arguments.real:
        with steps("gather real speakers"):
            return list(real.rooms(clips, speakers=arguments.speakers or real.SPEAKERS))
    if arguments.talk:
        with steps("read your recordings"):
            folders = (arguments.talk, arguments.wake, arguments.commands)
            return [scene.recorded(*(scene.recordings(folder, clips) for folder in folders), title="Your recordings")]
    with steps("let two neural voices speak"):
        return [scene.scripted()]


def _told(path: Path, evening: Evening) -> list[str]:
    figures = [note.headline(evening), *(f"  {line}" for line in note.accounting(evening))]
    return [*figures, f"  picture: {path}.png    to listen: {path}.html", ""]


def _verify(stage: Stage, steps: Steps) -> None:
    """Ask the tool that a user would ask."""
    steps.say(f"$ sourdine verify --port {stage.board.tty}")
    status = cli.main(["verify", "--port", stage.board.tty])
    caught = "names the altered file" if status == 1 else "DID NOT NOTICE the altered file"
    steps.say(f"sourdine verify {caught} (exit status {status})", "")
