"""`sourdine audit` on a board that has sent something: over its USB, through its own REPL, by mpremote's transport."""

import json

import pytest

from sourdine_tools.cli import main
from sourdine_tools.server.chain import Chain
from way import say, way


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with way(tmp_path_factory.mktemp("way")) as made:
        made.play(12.0, [(3.5, say("Alexa.")), (4.6, say("What time is it?"))])
        yield made


@pytest.fixture
def audit(house, capsys):
    def run():
        seen = len(house.board.trace)
        status = main(["audit", "--port", house.board.tty, "--state", str(house.hub.state)])
        house.board.wait("boot", after=seen, cause="HARD")  # its program starts again
        out, err = capsys.readouterr()
        return status, out + err

    return run


def test_what_the_board_says_and_what_the_server_wrote_are_equal(house, audit):
    status, out = audit()
    assert status == 0 and out.endswith("equal\n"), out
    sent = house.hub.audio().size
    assert f"kitchen: 1 sessions, {2 * sent} bytes" in out and f"server: 1 sessions, {2 * sent} bytes" in out


def test_a_server_that_rewrites_or_drops_its_record_is_caught(house, audit):
    path = Chain.load(house.hub.state, "kitchen").path
    honest = path.read_bytes()
    try:
        first, second = honest.splitlines(keepends=True)
        path.write_bytes(first)
        status, out = audit()
        assert status == 1 and "the server has no record of session 1" in out
        path.write_bytes(first + json.dumps(json.loads(second) | {"samples": 1}).encode() + b"\n")
        status, out = audit()
        assert status == 1 and "line 2" in out
    finally:
        path.write_bytes(honest)
