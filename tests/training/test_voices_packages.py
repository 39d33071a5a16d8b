"""Packages come through their own clients, are checked, and come once."""

import hashlib
import io
import os
import tarfile

import pytest

from sourdine_board.mistake import Mistake
from sourdine_training.sources.packages import fetch
from sourdine_training.store import Store


def tarball(files: dict[str, bytes]) -> bytes:
    """A .tgz of `files`, the same each time."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """npm, as far as `npm pack` goes: brings what the test puts on its shelf, and writes down that it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"""#!/bin/sh
        echo "$@" >> {tmp_path}/asked
        cp {tmp_path}/shelf ./kokoro-js-1.2.1.tgz || {{ echo "404 there is none" >&2; exit 1; }}
    """)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_a_package_is_unpacked_and_fetched_once(npm, store):
    shelf = tarball({"package/voices/a.bin": b"voice"})
    (npm / "shelf").write_bytes(shelf)
    digest = hashlib.sha256(shelf).hexdigest()
    folder = fetch("npm", "kokoro-js", "1.2.1", digest, store)
    assert (folder / "package/voices/a.bin").read_bytes() == b"voice"
    assert fetch("npm", "kokoro-js", "1.2.1", digest, store) == folder
    assert (npm / "asked").read_text() == "pack --silent kokoro-js@1.2.1\n"


def test_another_file_than_expected_is_refused_and_not_kept(npm, store):
    (npm / "shelf").write_bytes(tarball({"package/evil": b"else"}))
    with pytest.raises(Mistake, match="not the file it should be"):
        fetch("npm", "kokoro-js", "1.2.1", "0" * 64, store)
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_nothing_is_unpacked_outside_its_folder(npm, store):
    (npm / "shelf").write_bytes(tarball({"../../../escaped": b"out"}))
    with pytest.raises(tarfile.FilterError):
        fetch("npm", "kokoro-js", "1.2.1", None, store)
    assert not list(npm.rglob("escaped"))


def test_a_registry_that_does_not_answer_is_the_users_to_mend(npm, store):
    with pytest.raises(Mistake, match=r"npm \(404 there is none\): check the network"):
        fetch("npm", "kokoro-js", "1.2.1", None, store)


def test_a_client_that_is_missing_is_named(store, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Mistake, match="apt install npm"):
        fetch("npm", "kokoro-js", "1.2.1", None, store)
