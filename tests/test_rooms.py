"""The import rules of docs/architecture.md, read from the source. Lint, not the security boundary: that is the relay."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from sourdine_tools.cli import COMMANDS

ROOT = Path(__file__).parents[1]
FIRMWARE = sorted((ROOT / "firmware/sourdine").glob("*.py"))
TRAINING = sorted((ROOT / "training").rglob("*.py"))

MAY_IMPORT = {  # module → the only firmware files that may import it
    "machine": {"hardware"},
    "network": {"hardware"},
    "esp32": {"hardware"},
    "socket": {"uplink"},
    "ssl": {"uplink"},
    "tls": set(),
    "asyncio": set(),
    "_thread": set(),
    "bluetooth": set(),
    "espnow": set(),
    "webrepl": set(),
    "sourdine.uplink": {"app"},
    "sourdine.hardware": {"app"},
    "sourdine.mic": {"app"},
    "sourdine.app": set(),  # main.py alone
    "sourdine.accel": {"native"},
    "sourdine.proof": {"native"},
}
DECIDES = "gate wake wire talk outbox ledger endpoint mute mic speaker light"
COMPUTES = "frontend dsp fft mel tables tflite flatbuffer graph plan layers operators int8 quantize spec proof"
NO_INPUT_OUTPUT = {*DECIDES.split(), *COMPUTES.split()}
PURE = {"array", "gc", "micropython", "struct", "collections", "math", "hashlib", "binascii", "json", "sourdine"}
# Wake.load reads the model's two files before anything listens: see its docstring.
OPENS = {"settings", "wake"}
HEAVY = {
    "tensorflow",
    "matplotlib",
    "starlette",
    "littlefs",
    "piper",
    "hibari_tts",
    "onnxruntime",
    "scipy",
    "optuna",
    "dask",
}


def imports(tree, module="sourdine"):
    """Every imported name of a tree, packages and their members alike."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = f"{module}.{node.module}" if node.level and node.module else node.module or module
            yield home
            yield from (f"{home}.{name.name}" for name in node.names)


def tree_of(path):
    return ast.parse(path.read_text())


def forbidden(path, source):
    """The names that this firmware file imports and its room does not allow."""
    return [name for name in imports(ast.parse(source)) if path.stem not in MAY_IMPORT.get(name, {path.stem})]


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_firmware_imports_only_what_its_room_allows(path):
    assert forbidden(path, path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "from machine import Pin",
        "from sourdine import uplink",
        "def f():\n    import ssl",
        "from . import hardware",
    ],
)
def test_a_forbidden_import_is_seen_wherever_it_hides(source):
    assert forbidden(ROOT / "firmware/sourdine/gate.py", source)


@pytest.mark.parametrize("name", sorted(NO_INPUT_OUTPUT))
def test_rooms_that_decide_do_no_input_or_output(name):
    path = ROOT / f"firmware/sourdine/{name}.py"
    roots = {imported.split(".")[0] for imported in imports(tree_of(path))}
    assert roots <= PURE
    calls = {
        node.func.id
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & ({"open", "print", "input"} - ({"open"} if name in OPENS else set()))


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_no_firmware_module_accepts_connections(path):
    words = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    assert not words & {"listen", "bind", "accept", "AP_IF", "IF_AP"}


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_firmware_runs_no_text_as_code(path):
    names = {node.id for node in ast.walk(tree_of(path)) if isinstance(node, ast.Name)}
    assert not names & {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_firmware_catches_no_exception_blindly(path):
    handlers = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ExceptHandler)]
    assert all(handler.type is not None for handler in handlers)


def test_firmware_knows_no_other_room():
    for path in FIRMWARE:
        roots = {name.split(".")[0] for name in imports(tree_of(path))}
        assert not roots & {"sourdine_tools", "sourdine_training", "sourdine_board"}, path


def test_the_board_knows_the_firmware_and_nobody_else():
    for path in (ROOT / "board").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(tree_of(path))} & {"sourdine_tools", "sourdine_training"}


def test_app_alone_holds_the_uplink_and_the_gate():
    tree = tree_of(ROOT / "firmware/sourdine/app.py")
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Uplink")]
    gates = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Gate")]
    assert len(made) == 1
    assert len(gates) == 1


def test_nothing_but_the_gate_sends_audio():
    for path in FIRMWARE:
        calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
        audio = [call for call in calls if isinstance(call, ast.Attribute) and call.attr == "audio"]
        assert path.stem == "gate" or not audio, f"{path.stem} calls .audio()"


def test_a_command_imports_heavy_things_only_when_it_runs():
    load = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    modules = [module for module, _ in COMMANDS.values()]
    loaded = subprocess.run([sys.executable, "-c", load, *modules], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.split())


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: str(path.relative_to(ROOT)))
def test_training_sees_the_ears_and_not_the_speaker(path):
    ears = {f"sourdine.{name}" for name in (*COMPUTES.split(), "wake")}
    names = set(imports(tree_of(path), "sourdine_training"))
    used = {name for name in names if name.split(".")[0] == "sourdine"} - {"sourdine"}
    assert all(any(name == ear or name.startswith(f"{ear}.") for ear in ears) for name in used)
    boards = {name for name in names if name.split(".")[0] == "sourdine_board"}
    assert all(name.startswith("sourdine_board.mistake") for name in boards)
    assert not any(name.split(".")[0] == "sourdine_tools" for name in names)
