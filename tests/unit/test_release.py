"""A release is the same bytes wherever it is built, and says so in its manifest."""

import hashlib
import io
import json
import shutil

import pytest

from sourdine_board.mistake import Mistake
from sourdine_tools import progress
from sourdine_tools.release import ARCHES, FIRMWARE, MANIFEST, Release, model_files, model_names


@pytest.mark.parametrize(("code", "arch"), ARCHES.items())
def test_every_module_travels_compiled_for_its_processor(code, arch):
    files = Release.build(arch).files
    sources = {path.relative_to(FIRMWARE).with_suffix("") for path in (FIRMWARE / "sourdine").glob("*.py")}
    assert {f"/{source.as_posix()}.mpy" for source in sources} <= files.keys()
    assert files["/main.py"] == (FIRMWARE / "main.py").read_bytes()
    for path, data in files.items():
        if path.endswith(".mpy"):
            assert data[:2] == b"M\x06"  # the .mpy version that MicroPython 1.24 and later load
            assert data[2] >> 2 in (0, code)  # bytecode alone, or native code of this processor


def test_the_same_source_gives_the_same_bytes_from_any_folder(tmp_path):
    shutil.copytree(FIRMWARE, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    assert Release.build("xtensawin", tmp_path / "elsewhere").everything == Release.build("xtensawin").everything


def test_the_manifest_lists_every_other_file_with_size_and_hash():
    release = Release.build("x64")
    manifest = json.loads(release.manifest)
    assert manifest["arch"] == "x64"
    assert manifest["files"].keys() == release.everything.keys() - {MANIFEST}
    for path, entry in manifest["files"].items():
        assert entry == {
            "sha256": hashlib.sha256(release.files[path]).hexdigest(),
            "size": len(release.files[path]),
        }


@pytest.fixture
def own(tmp_path):
    """A source with a model of its own, in two stages."""
    (tmp_path / "models").mkdir()
    for name in ("alexa.json", "alexa.tflite", "alexa.verify.tflite", "lonely.json"):
        (tmp_path / "models" / name).write_text(name)
    (tmp_path / "models/alexa.sourdine.json").write_text('{"version": 1, "verify": {"model": "alexa.verify.tflite"}}')
    return tmp_path


def test_a_model_comes_from_the_firmware_folder_before_the_package(own):
    files = model_files("alexa", own)
    assert [path.name for path in files] == ["alexa.json", "alexa.tflite", "alexa.sourdine.json", "alexa.verify.tflite"]
    assert all(path.parent == own / "models" for path in files)
    assert "okay_nabu" in model_names(own)
    assert not {"lonely", "alexa.sourdine", "alexa.verify"} & set(model_names(own))


def test_a_second_stage_goes_along_only_if_it_is_named(own):
    more = own / "models/alexa.sourdine.json"
    more.write_text('{"version": 1, "cutoffs": {"0.5": 0.9}}')
    assert [path.name for path in model_files("alexa", own)] == ["alexa.json", "alexa.tflite", "alexa.sourdine.json"]
    more.unlink()
    assert [path.name for path in model_files("alexa", own)] == ["alexa.json", "alexa.tflite"]


def test_a_second_stage_that_is_named_and_not_there_is_a_mistake(own):
    (own / "models/alexa.verify.tflite").unlink()
    with pytest.raises(Mistake, match=r"alexa.sourdine.json names alexa.verify.tflite, which is not beside it: copy"):
        model_files("alexa", own)


@pytest.mark.parametrize("text", ["{", "3", '{"verify": 3}', '{"verify": {}}', '{"verify": {"model": 5}}'])
def test_what_sourdine_adds_must_be_readable(own, text):
    (own / "models/alexa.sourdine.json").write_text(text)
    with pytest.raises(Mistake, match="export the model again"):
        model_files("alexa", own)


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(Mistake, match="no wake word model is called 'computer'; there are: alexa, .*okay_nabu"):
        Release.build("x64", model="computer")


def test_a_module_that_does_not_compile_is_named(tmp_path):
    (tmp_path / "sourdine").mkdir()
    for name in ("boot.py", "main.py"):
        (tmp_path / name).touch()
    (tmp_path / "sourdine/gate.py").write_text("def broken(:\n")
    with pytest.raises(Mistake, match=r"gate\.py does not compile for x64: SyntaxError"):
        Release.build("x64", tmp_path)


def test_a_folder_without_firmware_is_refused(tmp_path):
    with pytest.raises(Mistake, match="holds no firmware"):
        Release.build("x64", tmp_path)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_drawn_on_a_terminal_and_nowhere_else(monkeypatch):
    for screen, drawn in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(progress.sys, "stderr", screen)
        progress.bar(0, 2000, "/main.py")
        progress.bar(2000, 2000, "")
        assert bool(screen.getvalue()) == drawn
    monkeypatch.setattr(progress.sys, "stderr", screen := Terminal())
    progress.bar(1000, 2000, "/main.py")
    assert screen.getvalue().rstrip() == "\r[############............]    1.0 of 2.0 kB  /main.py"
