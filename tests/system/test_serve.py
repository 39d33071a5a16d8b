"""`sourdine serve` as a person runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from household import csr, new_key
from sourdine_tools.cli import main
from sourdine_tools.server import enrol


class Running:
    """A `sourdine serve` in its own process; port is what it chose."""

    def __init__(self, state, *options):
        self.process = subprocess.Popen(
            [Path(sys.executable).parent / "sourdine", "serve", "--state", str(state), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        self.first = self.process.stdout.readline()
        self.port = int(self.first.split("port ")[1].split(";")[0])

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        with self.process.stdout:
            rest = self.process.stdout.read()
        return self.process.wait(20), rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_stops_when_told(tmp_path, number):
    server = Running(tmp_path / "state")
    assert server.first.startswith("listening on 127.0.0.1 port ")
    status, rest = server.stop(number)
    assert status == 0 and rest.endswith("stopped\n") and "Traceback" not in rest
    assert "for real boards add --host" in rest


def test_a_code_made_in_another_window_enrols_a_speaker(tmp_path, capsys):
    server = Running(tmp_path / "state")
    try:
        assert main(["serve", "--state", str(tmp_path / "state"), "--new-code", "kitchen"]) == 0
        (code,) = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
        assert enrol.request(code, csr(new_key()), "127.0.0.1", server.port).device == "kitchen"
        assert main(["serve", "--state", str(tmp_path / "state"), "--revoke", "kitchen"]) == 0
    finally:
        _, rest = server.stop()
    assert "enrolled kitchen" in rest and code not in rest


def mistake(capsys, *argv):
    assert main(["serve", *map(str, argv)]) == 2
    _, err = capsys.readouterr()
    assert err.count("\n") == 1
    return err


def test_what_a_user_can_mend_is_said_in_one_line(tmp_path, capsys):
    state = tmp_path / "state"
    assert "no speaker 'attic' is enrolled here; known: none" in mistake(capsys, "--state", state, "--revoke", "attic")
    assert "use up to 32 of a-z" in mistake(capsys, "--state", state, "--new-code", "The Kitchen")
    (tmp_path / "file").write_text("")
    assert "cannot use the state folder" in mistake(capsys, "--state", tmp_path / "file", "--new-code", "kitchen")
    (state / "ca.pem").write_text("nonsense")
    assert "cannot use the state folder" in mistake(capsys, "--state", state, "--new-code", "kitchen")


def test_a_port_or_address_that_cannot_be_had_is_said_in_one_line(tmp_path, capsys):
    server = Running(tmp_path / "one")
    try:
        busy = mistake(capsys, "--state", tmp_path / "two", "--port", server.port)
        assert f"cannot listen on 127.0.0.1 port {server.port}: another program uses it" in busy
        assert "another server uses" in mistake(capsys, "--state", tmp_path / "one", "--port", 0)
    finally:
        server.stop()
    assert "cannot listen on 192.0.2.1" in mistake(
        capsys, "--state", tmp_path / "two", "--host", "192.0.2.1", "--port", 0
    )
    assert "cannot listen" in mistake(capsys, "--state", tmp_path / "two", "--port", 70_000)
