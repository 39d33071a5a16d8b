"""The stage: a real server, a relay in front of it, and the board's twin, on which scenes are played."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sourdine import spec
from sourdine_board.twin import Board
from sourdine_tools.demo import second_opinion, witnesses
from sourdine_tools.demo.evening import Evening
from sourdine_tools.demo.proof import judge
from sourdine_tools.demo.relay import Relay
from sourdine_tools.demo.scene import Scene
from sourdine_tools.demo.steps import Steps
from sourdine_tools.demo.witnesses import Tap
from sourdine_tools.flash import flash
from sourdine_tools.pair import pair
from sourdine_tools.release import FIRMWARE, MODEL, model_files
from sourdine_tools.server import Server, serving
from sourdine_tools.server.enrol import mint

DEVICE = "kitchen"
PATIENCE = 20  # host's seconds that a second of the room may take on a busy machine


class Stage:
    """Made by on_stage(). First set_up(), then play() as often as wanted."""

    def __init__(self, work: Path, server: Server, relay: Relay, board: Board, tap: Tap, steps: Steps):
        self.board = board
        self._work, self._server, self._relay, self._tap, self._steps = work, server, relay, tap, steps

    def set_up(self, source: Path = FIRMWARE) -> None:
        """Pair the board with the server, and flash the firmware in `source`."""
        with self._steps("pair: Wi-Fi, key, certificate, for a code that works once"):
            code = mint(self._server.authority, DEVICE)
            where = {"host": "127.0.0.1", "port": self._relay.port}
            pair(self.board.tty, device=DEVICE, ssid="house", password="correct horse", code=code, **where)
        with self._steps("flash the firmware with mpremote"):
            flash(self.board.tty, source)

    def play(self, scene: Scene) -> Evening:
        """Play one room, from a power cycle on, and ask the witnesses."""
        room = int(scene.seconds * spec.SAMPLE_RATE)
        known = len(self._tap.held)
        with self._steps(f"play {scene.seconds:.0f} s: {scene.title}"):
            self.board.play(scene.write(self._work))
            self.board.wait("end", timeout=60 + PATIENCE * scene.seconds)
        with self._steps("ask the witnesses: twin, network, server, the samples themselves"):
            trace = _this_life(self.board.trace)
            heard = _padded(self.board.heard(), room)
            reference = second_opinion.scores(heard)
            found, links = witnesses.evidence(trace, heard, reference, self._relay.connections, self._tap)
            manifest = json.loads(model_files(MODEL)[0].read_text())
            scores = [(event["us"] / 1e6, event["value"] / 255) for event in trace if event["kind"] == "probe"]
            return Evening(
                scene=scene,
                room=scene.samples(),
                heard=heard,
                scores=np.array(scores).reshape(-1, 2),
                reference=reference,
                cutoff=manifest["micro"]["probability_cutoff"],
                verdict=judge(found),
                buffered=witnesses.buffered(self._tap.held[known:], links),
                on_disk=witnesses.on_disk(self._server.state, room),
                word=manifest["wake_word"],
            )


def _this_life(trace: list[dict]) -> list[dict]:
    """Without what the chip still did before the power was cut."""
    start = next(i for i, event in enumerate(trace) if event["kind"] == "boot" and event["cause"] == "PWRON")
    return trace[start:]


def _padded(heard: bytes, samples: int) -> np.ndarray:
    """int16[samples] of s16le bytes, zeros where they end sooner."""
    found = np.frombuffer(heard, "<i2")[:samples]
    return np.pad(found, (0, samples - len(found)))


@contextlib.contextmanager
def on_stage(work: Path, steps: Steps) -> Iterator[Stage]:
    """Server, relay and board, on loopback, all of whose files lie in `work`."""
    with contextlib.ExitStack() as stack:
        tap = Tap()
        with steps("start the server; it makes its own CA"):
            server = Server(work / "server", on_session=tap.on_session, tap=tap, announce=lambda line: None)
            tap.server = stack.enter_context(serving(server))
            relay = stack.enter_context(Relay("127.0.0.1", server.port))
        with steps("start the board: MicroPython on a simulated ESP32-S3"):
            board = stack.enter_context(Board(work / "board"))
        yield Stage(work, server, relay, board, tap, steps)
