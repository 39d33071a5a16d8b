"""What the documents name is there: commands, options, files, make targets, every module of the firmware."""

import re
from pathlib import Path

import pytest

from sourdine_tools.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
# `code`, and each line of an indented block up to its remark
CODE = re.compile(r"`([^`\n]+)`|^ {4}(\S[^\n#]*)", re.MULTILINE)


def code(path):
    return [(inline or block).strip() for inline, block in CODE.findall(path.read_text())]


def missing_options(line, capsys):
    """What `line` gives a command of sourdine that this does not take."""
    words = line.split()
    name = words[words.index("sourdine") + 1]
    with pytest.raises(SystemExit):
        main([name, "--help"])
    known = capsys.readouterr().out.split()
    return [word for word in words if word.startswith("--") and word not in [each.strip("[],") for each in known]]


def commands(path):
    """The lines of code in which a person types sourdine and a command."""
    return [line for line in code(path) if re.match(r"(\.venv/bin/)?sourdine [a-z]", line)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_command_and_option_exists(path, capsys):
    for line in commands(path):
        assert line.split()[1] in COMMANDS, line
        assert missing_options(line, capsys) == [], line


def test_an_option_that_is_not_there_is_seen(capsys):
    assert missing_options("sourdine serve --host 0.0.0.0 --lan", capsys) == ["--lan"]
    assert len(commands(ROOT / "README.md")) > 6


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_file_that_is_named_exists(path):
    for name in code(path):
        if re.fullmatch(r"(firmware|board|tools|tests|docs|training)/[\w/.-]*", name) and name != "firmware/models/":
            assert (ROOT / name).exists(), name
        elif re.fullmatch(r"test_\w+\.py", name):
            assert list(ROOT.glob(f"tests/**/{name}")), name
        elif re.fullmatch(r"[a-z0-9_]+\.py", name):
            assert [found for room in ("firmware", "board") for found in ROOT.glob(f"{room}/**/{name}")], name


def test_every_make_target_that_is_named_exists():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = [line.split()[1] for path in DOCUMENTS for line in code(path) if line.startswith("make ")]
    assert len(named) > 4
    assert set(named) <= set(targets)


def test_every_module_of_the_firmware_has_its_line_in_the_table_of_rooms():
    table = (ROOT / "docs/architecture.md").read_text().split("## The rooms of the firmware")[1].split("##")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    modules = [path.stem for path in ROOT.glob("firmware/sourdine/*.py") if path.stem != "__init__"]
    assert sorted(named) == sorted(modules)
