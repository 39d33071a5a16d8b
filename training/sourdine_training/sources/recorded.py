"""Recorded speech, music and ambience that anybody can have: Debian packages, decoded once, cut into short files.

A voice, a tune and a noise stand on one side of the split only. Where the same person may speak in several packages
(KDE's and Tux Paint's translators), the language decides. What is marked `judge` is never learnt from.
"""

import dataclasses
import hashlib
import logging
import re
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_training.executor import Executor
from sourdine_training.sources import audio, packages, steel_sky
from sourdine_training.sources.pieces import FORM, ROOM, Group, Recording, joined
from sourdine_training.store import Store, key

HELD_LANGUAGES = {"it", "el", "da", "nl", "lt", "uk"}  # their speakers validate
HELD_IN = 5  # one tune or noise in so many validates

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Package:
    """A Debian package: which of its files are what. In a pattern, `who` names the language or voice."""

    name: str
    licence: str
    credit: str
    parts: tuple[tuple[str, str], ...]  # (regular expression of the path inside, kind); the first that matches counts
    judge: bool = False

    def kind(self, path: str) -> tuple[str, str]:
        """(kind, who) of a file; "" for one that is not wanted."""
        for pattern, kind in self.parts:
            if found := re.fullmatch(pattern, path):
                nameless = "" if kind == "speech" else re.sub(r"\d+", "", Path(path).stem)
                return kind, (found.groupdict().get("who") or nameless) if kind else ""
        return "", ""


PROMPTS = ((r".*/silence/.*", ""), (r".*/sounds/(?P<who>\w\w)_.*\.(g722|wav)", "speech"))
PACKAGES = (
    Package("asterisk-core-sounds-en-g722", "CC-BY-SA-3.0", "Allison Smith, Digium", PROMPTS),
    Package("asterisk-core-sounds-es-g722", "CC-BY-SA-3.0", "Allison Smith, Digium", PROMPTS),
    Package("asterisk-core-sounds-ru-g722", "CC-BY-3.0", "Maxim Topal, www.ivrvoice.ru", PROMPTS),
    Package("asterisk-prompt-it-menardi-wav", "CC-BY-SA-3.0", "Marco Menardi and Paola Dal Zot, www.voip.ammdomus.it", PROMPTS),
    Package(
        "tuxpaint-stamps-default",
        "GPL-2+",
        "New Breed Software and Tux Paint's translators",
        (
            (r".*_desc_(?P<who>[a-z]{2})(_\w+)?\.(ogg|wav)", "speech"),
            (r".*_desc\.(ogg|wav)", "speech"),
            (r".*/(animals|vehicles|town|hobbies|household|symbols/music)/.*[^_]..\.(ogg|wav)", "ambience"),
        ),
    ),
    Package("klettres-data", "GPL-2+", "KDE's speakers", ((r".*/klettres/(?P<who>[a-z]{2,3})(_\w+)?/.*\.ogg", "speech"),)),
    Package(
        "ktuberling-data", "GPL-2+", "KDE's speakers", ((r".*/sounds/(?P<who>[a-z]{2,3})(@\w+)?/.*\.(ogg|wav)", "speech"),)
    ),
    Package("wesnoth-1.16-music", "GPL-2+", "The Battle for Wesnoth's composers", ((r".*\.ogg", "music"),)),
    Package(
        "ufoai-sound",
        "GPL-2+, CC-BY-SA-3.0, CC-BY-3.0",
        "UFO: Alien Invasion's contributors",
        ((r".*/(ui|seq)/.*", ""), (r".*\.(ogg|wav)", "ambience")),
    ),
    Package(
        "lincity-ng-data", "GPL-2+", "LinCity-NG's contributors",
        ((r".*/music/.*\.ogg", "music"), (r".*\.wav", "ambience")),
    ),
    Package(
        "beneath-a-steel-sky", "Beneath a Steel Sky's own", "Revolution Software", ((r".*/(?P<who>en)/\d+\.wav", "speech"),)
    ),
    Package("fillets-ng-data-nl", "GPL-2+", "Fish Fillets' Dutch actors", ((r".*/(?P<who>nl)/.*\.ogg", "speech"),), judge=True),
    Package(
        "hedgewars-data", "GPL-2 and others", "Hedgewars' contributors",
        ((r".*/voices/(?P<who>\w+)/.*\.ogg", "speech"), (r".*/Music/.*\.ogg", "music"), (r".*/Sounds/.*\.ogg", "ambience")),
        judge=True,
    ),
    Package("colobot-common-sounds", "GPL-3+", "Colobot's contributors", ((r".*/music/.*\.ogg", "music"),), judge=True),
)  # fmt: skip


def recorded(
    store: Store, executor: Executor, progress: Callable[[int, int, str], None] = lambda *_: None
) -> list[Recording]:
    """Everything in PACKAGES, in a fixed order. A package that cannot be had is named and left out."""
    found: list[Recording] = []
    answers = executor.map(partial(_package, store), PACKAGES)
    for done, (package, (listed, why)) in enumerate(zip(PACKAGES, answers, strict=True), 1):
        if why:
            log.warning("%s is left out: %s", package.name, why)
        found += listed
        progress(done, len(PACKAGES), f"recordings: {package.name}")
    return found


def missing(store: Store) -> list[Package]:
    """What recorded() would have to fetch."""
    return [each for each in PACKAGES if not store.path(ROOM, _content(each)).exists()]


def hours(recordings: list[Recording]) -> dict[tuple[str, str, str], float]:
    """(split, kind, source) → hours, sorted."""
    total: dict[tuple[str, str, str], float] = defaultdict(float)
    for each in recordings:
        total[each.split, each.kind, each.source] += each.seconds / 3600
    return dict(sorted(total.items()))


def _package(store: Store, package: Package) -> tuple[list[Recording], str]:
    """The pieces of one package; or nothing, and why."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            return joined(store, _content(package), package.name, _fetched(package, Path(scratch)), logging.INFO), ""
    except Mistake as mistake:
        return [], str(mistake)


def _content(package: Package) -> str:
    """The key of its pieces."""
    return key(FORM, package.name, package.parts, package.judge)


def _fetched(package: Package, scratch: Path) -> Iterator[Group]:
    """Its groups, fetched only if somebody asks for the first. What is unpacked lies in `scratch`: the pieces are kept."""
    folder = packages.fetch("deb", package.name, "", None, Store(scratch))
    yield from groups(folder, package, scratch / "unzipped")


def split(kind: str, who: str, judge: bool) -> str:
    """The side that a speaker (by language or voice), a tune or a noise stands on."""
    if judge:
        return "judge"
    if kind == "speech":
        return "valid" if who in HELD_LANGUAGES else "train"
    return "train" if hashlib.sha256(who.encode()).digest()[0] % HELD_IN else "valid"


def groups(folder: Path, package: Package, scratch: Path) -> Iterator[Group]:
    """What an unpacked package holds, each sound once; `scratch` is for what must be unpacked further."""
    folder = _unpacked(folder, scratch)
    found: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    seen = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        kind, who = package.kind("/" + str(path.relative_to(folder)))
        if not kind or path.suffix not in audio.SUFFIXES:
            continue
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest not in seen:
            found[kind, split(kind, who, package.judge), who if kind == "speech" else ""].append(path)
        seen.add(digest)
    for (kind, side, _), paths in sorted(found.items()):
        yield Group(kind, side, paths)


def _unpacked(folder: Path, scratch: Path) -> Path:
    """The folder; or, if its sounds are in one .pk3 (a zip file) or packed by a game, what that holds."""
    if steel_sky.unpack(folder, scratch):
        return scratch
    packed = sorted(folder.rglob("*.pk3"))
    for path in packed:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(scratch)
    return scratch if packed else folder
