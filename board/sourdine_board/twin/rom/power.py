"""Every life of the chip begins here: become the board, then run boot.py and main.py as the ESP32 port does."""

import gc
import os
import random
import sys
from collections import namedtuple

import host
import micropython
import vfs

CONFIG = host.CONFIG


class Flash:
    """The data partition: 4 KiB erase blocks in a file of the host, extended block interface."""

    BLOCK = 4096

    def __init__(self):
        self._file = host.open_file(CONFIG["flash"], "r+b")
        self._blocks = self._file.seek(0, 2) // Flash.BLOCK

    def readblocks(self, block, buffer, offset=0):
        """Read bytes."""
        self._file.seek(block * Flash.BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        """Write bytes; the erase is implied."""
        self._file.seek(block * Flash.BLOCK + offset)
        self._file.write(buffer)

    def ioctl(self, operation, argument):
        """Block count, block size; nothing to flush."""
        return {4: self._blocks, 5: Flash.BLOCK}.get(operation, 0)


class Module:
    """A module that was made, not loaded."""

    def __init__(self, name, source, names, **more):
        self.__name__ = name
        for key in names.split() if names else dir(source):
            if not key.startswith("__"):
                setattr(self, key, getattr(source, key))
        for key, value in more.items():
            setattr(self, key, value)

    def __repr__(self):
        return "<module '" + self.__name__ + "'>"


def _implementation():
    fields = "name version _machine _mpy _build _thread"
    machine = CONFIG["machine"]
    real = sys.implementation
    return namedtuple("implementation", fields)(real.name, real.version, machine, real._mpy, "ESP32_GENERIC", "GIL")


def _uname():
    version = ".".join(str(part) for part in sys.implementation.version[:3])
    names = namedtuple("uname", "sysname nodename release version machine")
    return names("esp32", "esp32", version, "v" + version + " (twin)", CONFIG["machine"])


def _kbd_intr(char):
    """Whether Ctrl-C interrupts: on the host it is the terminal that makes a signal of it."""
    host.ask("isig", on=char == 3)


def _become_the_board():
    import chipsocket
    import chiptime
    import clock
    import esp32
    import events
    import machine
    import network
    import sound

    events.world.stop = sound.stop
    board = {
        "machine": machine,
        "network": network,
        "esp32": esp32,
        "time": chiptime,
        "socket": chipsocket,
        "os": Module(
            "os",
            os,
            "chdir getcwd ilistdir listdir mkdir mount remove rename rmdir sep stat statvfs umount unlink urandom"
            " VfsFat VfsLfs2",
            uname=_uname,
            sync=lambda: None,
            dupterm=lambda stream, index=0: None,
        ),
        "sys": Module("sys", sys, "", platform="esp32", implementation=_implementation()),
        "micropython": Module("micropython", micropython, "", kbd_intr=_kbd_intr),
    }
    for name in list(sys.modules):
        del sys.modules[name]
    sys.modules.update(board)
    for name in ("machine", "time", "socket", "os", "sys"):
        sys.modules["u" + name] = board[name]
    return clock.clock, events


def _mount():
    flash = Flash()
    vfs.umount("/")
    try:
        file_system = vfs.VfsLfs2(flash)
        vfs.mount(file_system, "/")
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(vfs.VfsLfs2(flash), "/")
        with open("/boot.py", "w") as file:
            file.write("# This file is executed on every boot (including wake-boot from deepsleep)\n")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]


def _wrap(clock, names, cost_us=0, attribute=None):
    """Put the price or the probe of a room around one method: "package.module.Class.method"."""
    path, kind, method = names.rsplit(".", 2)
    try:
        owner = getattr(__import__(path, None, None, [kind]), kind)
        original = getattr(owner, method)
    except (ImportError, AttributeError, SyntaxError, ValueError) as error:
        host.trace(clock.now, "violation", what="no such method", name=names, error=repr(error))
        return

    def wrapped(self, *arguments, **options):
        result = original(self, *arguments, **options)
        if cost_us:
            clock.charge(cost_us)
        if attribute:
            more = {"result": result} if isinstance(result, bool) else {}
            host.trace(clock.now, "probe", name=names, value=getattr(self, attribute), **more)
        return result

    setattr(owner, method, wrapped)


def _run(name, scope, rest):
    """Like pyexec_file_if_exists: True unless it raised, None if somebody interrupted it."""
    try:
        os.stat(name)
    except OSError:
        return True
    try:
        rest()
        with open(name) as file:
            source = file.read()
        exec(compile(source, name, "exec"), scope)  # noqa: S102  the chip's own program
        return True
    except KeyboardInterrupt as error:
        sys.print_exception(error)
        return None
    except SystemExit:
        host.die("SOFT")
    except BaseException as error:  # noqa: BLE001  as the port prints them all
        sys.print_exception(error)
        return False


def on(scope):
    """Boot, run the program; returns when the prompt should come up."""
    clock, events = _become_the_board()
    random.seed(CONFIG["seed"])
    host.registers.repl = 0
    host.trace(clock.now, "boot", cause=CONFIG["cause"])
    events.revive(CONFIG["cause"], CONFIG["off_ms"], CONFIG["boot_ms"])
    _mount()
    gc.collect()
    host.ask("ready", heap=gc.mem_alloc())
    events.world.program = CONFIG["run_main"]
    fine = _run("boot.py", scope, events.world.rest)
    if fine and CONFIG["run_main"]:
        room = CONFIG["room"]
        for names, cost_us in room["costs"].items():
            if names.split(".")[0] not in ("ssl", "esp32"):  # C code: chipsocket.py's and esp32.py's
                _wrap(clock, names, cost_us=cost_us)
        for names, attribute in room["probes"].items():
            _wrap(clock, names, attribute=attribute)
        fine = _run("main.py", scope, events.world.rest)
    if fine is not None and CONFIG["run_main"]:
        events.world.pass_by()
    events.world.program = False
    host.registers.repl = 1
    events.watchdog.feed()  # from here on the supervisor counts for it
    host.trace(clock.now, "repl")
