"""Runs on MicroPython's unix port: the chip behind tests/ramboard.py. One JSON request per line, one answer."""

import binascii
import builtins
import io
import json
import os
import sys

import vfs

BLOCK = 4096  # bytes, as on ESP32


class Flash:
    """RAM that erases to 0xFF. Once the power is gone `kept` changes no more; the interpreter, which cannot
    die as the chip does, goes on upon a copy, and nobody hears its answers."""

    def __init__(self, kept):
        self.kept = self.data = kept
        self.writes = 0
        self.left = None
        self.lost = False

    def lose_power(self):
        if not self.lost:
            self.lost, self.left = True, None
            self.data = bytearray(self.kept)

    def spend(self):
        if self.left is not None:
            if self.left == 0:
                self.lose_power()
            else:
                self.left -= 1
        self.writes += 1

    def readblocks(self, block, buffer, offset=0):
        start = block * BLOCK + offset
        buffer[:] = memoryview(self.data)[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        self.spend()
        start = block * BLOCK + offset
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, request, argument):
        if request == 4:
            return len(self.data) // BLOCK
        if request == 5:
            return BLOCK
        if request == 6:
            self.spend()
            start = argument * BLOCK
            self.data[start : start + BLOCK] = b"\xff" * BLOCK
        return 0


stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
flash = Flash(bytearray(b"\xff" * (int(sys.argv[1]) * BLOCK)))
saved, names = {}, {}
vfs.umount("/")
vfs.VfsLfs2.mkfs(flash)
vfs.mount(vfs.VfsLfs2(flash), "/")


def power():
    global flash, names
    flash.lose_power()
    if "_file" in names:  # or its finaliser would run on a filesystem that is gone
        names["_file"].close()
    vfs.umount("/")
    flash = Flash(flash.kept)
    vfs.mount(vfs.VfsLfs2(flash), "/")
    os.chdir("/")
    names = {}


def execute(script):
    said = io.StringIO()
    names["print"] = lambda *values, **options: builtins.print(*values, file=said, **options)
    error = ""
    try:
        exec(script, names)  # noqa: S102  this is the REPL
    except BaseException as trouble:  # noqa: BLE001  whatever a script raises is its answer
        text = io.StringIO()
        sys.print_exception(trouble, text)
        error = text.getvalue()
    return said.getvalue(), error, not flash.lost


def answer(request):
    kind = request[0]
    if kind == "exec":
        return execute(request[1])
    if kind == "cut":
        flash.left = request[1]
    elif kind == "writes":
        return flash.writes
    elif kind == "power":
        power()
    elif kind == "save":
        saved[request[1]] = bytes(flash.kept)
    elif kind == "restore":
        flash.lose_power()
        flash.kept[:] = saved[request[1]]
        power()
    elif kind == "image":
        return binascii.hexlify(flash.kept).decode()
    return None


power()
while True:
    line = stdin.readline()
    if not line:
        break
    stdout.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
