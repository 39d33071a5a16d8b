"""The files on a board: read them by hash, and replace them so that no cut leaves a mixture running.

New bytes are staged beside the old as NAME.new and read back by hash. One short script then takes the
keystone (main.py, or settings.json) away first and puts it back last, everything else between; littlefs
renames atomically. Whenever power or the cable fails, the board therefore holds the whole old program, the
whole new one, or none that starts, and the next run finishes the work. A staged file that survived a cut
is used, not sent again.
"""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from sourdine_tools.board_link import BoardFull, Link, literal
from sourdine_tools.progress import Progress, quiet
from sourdine_tools.release import digest

STAGED = ".new"
CHUNK = 1536  # bytes per script: 2 KiB as base64, which the smallest heap parses with ease
SPARE = 4  # blocks that littlefs may need for directories and for its own copies

# Prints one (path, size, sha256) per file and (path, None, None) per directory. 0x4000 marks a directory.
_SURVEY = """
import os, hashlib, binascii
def _walk(folder):
    for entry in os.ilistdir(folder):
        path = folder + ("" if folder == "/" else "/") + entry[0]
        if entry[1] & 0x4000:
            print((path, None, None), ",")
            _walk(path)
        else:
            total, size = hashlib.sha256(), 0
            with open(path, "rb") as file:
                while True:
                    part = file.read(1024)
                    if not part:
                        break
                    total.update(part)
                    size += len(part)
            print((path, size, binascii.hexlify(total.digest()).decode()), ",")
print("[")
_walk("/")
print("]")
"""
_FREE = "import os\n_s = os.statvfs('/')\nprint((_s[0], _s[3]))"
_READ = """
import binascii
try:
    with open({path!r}, "rb") as file:
        print(binascii.hexlify(file.read({limit})).decode())
except OSError:
    pass
"""
_OPEN = """
import os, binascii
for _folder in {folders!r}:
    try:
        os.mkdir(_folder)
    except OSError as error:
        if error.errno != 17:
            raise
_file = open({path!r}, "wb")
"""
_COMMIT = """
import os
for _from, _to in {moves!r}:
    if _to:
        os.rename(_from, _to)
    else:
        os.remove(_from)
"""


@dataclass(frozen=True)
class Survey:
    """Every file (path → sha256), its size, and every folder on the board."""

    hashes: dict[str, str]
    sizes: dict[str, int]
    folders: frozenset[str]


def survey(link: Link) -> Survey:
    """Hash the whole filesystem in one round trip."""
    rows = literal(link.run(_SURVEY))
    return Survey(
        {path: sha for path, _, sha in rows if sha},
        {path: size for path, size, sha in rows if sha},
        frozenset(path for path, _, sha in rows if not sha),
    )


def read(link: Link, path: str, limit: int = 32_768) -> bytes:
    """The first `limit` bytes of a file, b"" where there is none."""
    return bytes.fromhex(link.run(_READ.format(path=path, limit=limit)))


def remove(link: Link, paths: Iterable[str]) -> None:
    moves = [(path, None) for path in paths]
    if moves:
        link.run(_COMMIT.format(moves=moves))


def replace(
    link: Link,
    files: dict[str, bytes],
    keystone: str,
    stale: Iterable[str] = (),
    before: Survey | None = None,
    progress: Progress = quiet,
) -> list[str]:
    """Make the board hold `files` and no `stale`; return the paths whose bytes changed.

    `files` is ordered: its last entries (a manifest) are renamed last, the keystone after all of them.
    Raises BoardFull before anything is touched when the new bytes have no room.
    """
    before = before or survey(link)
    want = {path: digest(data) for path, data in files.items()}
    changed = [path for path in files if before.hashes.get(path) != want[path]]
    stale = [path for path in stale if path in before.hashes and path not in files]
    staged = {path for path in changed if before.hashes.get(path + STAGED) == want[path]}
    litter = [path + STAGED for path in files if path + STAGED in before.hashes and path not in staged]
    missing = [path for path in changed if path not in staged]
    check_room(link, [files[path] for path in missing], [before.sizes[path] for path in litter])
    if not changed and not stale:
        remove(link, litter)
        return []
    remove(link, litter)
    total, done = sum(len(files[path]) for path in missing), 0
    for path in missing:
        progress(done, total, path)
        write(link, path + STAGED, files[path])
        done += len(files[path])
    progress(total, total, "")
    now = survey(link).hashes
    for path in changed:
        if now.get(path + STAGED) != want[path]:
            raise BoardFull(f"{link.port} did not keep {path}: its flash may be worn; run this again")
    link.run(_COMMIT.format(moves=moves(changed, stale, keystone, keystone in before.hashes)))
    return changed


def moves(changed: list[str], stale: list[str], keystone: str, present: bool) -> list[tuple[str, str | None]]:
    """The commit, step by step: (from, to), or (path, None) to remove."""
    aside = keystone + STAGED
    first: list[tuple[str, str | None]] = []
    if present:
        first = [(keystone, None if keystone in changed else aside)]
    swaps = [(path + STAGED, path) for path in changed if path != keystone]
    gone = [(path, None) for path in stale]
    last = [(aside, keystone)] if present or keystone in changed else []
    return [*first, *gone, *swaps, *last]


def write(link: Link, path: str, data: bytes) -> None:
    """Write one file, making its folders."""
    parts = path.split("/")[1:-1]
    folders = ["/" + "/".join(parts[: depth + 1]) for depth in range(len(parts))]
    link.run(_OPEN.format(folders=folders, path=path))
    for start in range(0, len(data), CHUNK):
        link.run(f"_file.write(binascii.a2b_base64({b64encode(data[start : start + CHUNK])!r}))")
    link.run("_file.close()")


def check_room(link: Link, arriving: list[bytes], leaving: list[int]) -> None:
    """Refuse before anything is touched: staging needs room for old and new at once."""
    block, free = literal(link.run(_FREE))
    need = sum(-(-len(data) // block) for data in arriving)
    room = free + sum(-(-size // block) for size in leaving)
    if arriving and need + SPARE > room:
        raise BoardFull(
            f"{link.port} has {room * block // 1000} kB free and {(need + SPARE) * block // 1000} kB are needed: "
            f"remove files of your own with `mpremote connect {link.port} fs rm`"
        )
