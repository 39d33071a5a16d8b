"""The chip's `esp32`: non-volatile storage, typed as ESP-IDF's."""

import json
from binascii import a2b_base64, b2a_base64

from clock import clock
from host import CONFIG, open_file, replace_file, trace

_NOT_FOUND = -0x1102
_INVALID_NAME = -0x1109
_INVALID_LENGTH = -0x110C
_SET_US = 500
_COMMIT_US = CONFIG["room"]["costs"].get("esp32.NVS.commit", 2_000)
_KEY_MAX = 15


def _load():
    try:
        with open_file(CONFIG["nvs"], "r") as file:
            return json.load(file)
    except OSError:
        return {}


_stored = _load()  # "namespace/type/key" -> number, or base64


class NVS:
    """A namespace. What was not committed is lost at a reset."""

    def __init__(self, namespace):
        if not 0 < len(namespace) <= _KEY_MAX:
            raise OSError(_INVALID_NAME, "ESP_ERR_NVS_INVALID_NAME")
        self._namespace = namespace
        self._pending = {}

    def set_i32(self, key, value):
        """A signed 32-bit number."""
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise OverflowError
        self._set("i32", key, value)

    def get_i32(self, key):
        """The number; OSError if there is none."""
        return self._get("i32", key)

    def set_blob(self, key, value):
        """Bytes."""
        self._set("blob", key, b2a_base64(value).decode().rstrip())

    def get_blob(self, key, buffer):
        """Into the buffer; returns the length."""
        data = a2b_base64(self._get("blob", key))
        if len(data) > len(buffer):
            raise OSError(_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        memoryview(buffer)[: len(data)] = memoryview(bytearray(data))
        return len(data)

    def erase_key(self, key):
        """Forget it, of whatever type; OSError if there is none."""
        names = [name for name in (self._name("i32", key), self._name("blob", key)) if self._find(name) is not None]
        if not names:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        for name in names:
            self._pending[name] = None

    def commit(self):
        """Write to flash, from which no code can run meanwhile: no callback does."""
        clock.block(clock.now + _COMMIT_US)
        for name, value in self._pending.items():
            if value is None:
                _stored.pop(name, None)
            else:
                _stored[name] = value
        keys = len(self._pending)
        self._pending = {}
        replace_file(CONFIG["nvs"], json.dumps(_stored))
        trace(clock.now, "nvs", namespace=self._namespace, keys=keys)

    def _name(self, kind, key):
        if not 0 < len(key) <= _KEY_MAX:
            raise OSError(_INVALID_NAME, "ESP_ERR_NVS_KEY_TOO_LONG")
        return self._namespace + "/" + kind + "/" + key

    def _find(self, name):
        return self._pending[name] if name in self._pending else _stored.get(name)

    def _set(self, kind, key, value):
        clock.charge(_SET_US)
        self._pending[self._name(kind, key)] = value

    def _get(self, kind, key):
        clock.charge(20)
        value = self._find(self._name(kind, key))
        if value is None:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return value


def idf_heap_info(capabilities):
    """[(total, free, largest, least free)] of the heap outside of MicroPython's."""
    return [(300_000, 120_000, 80_000, 100_000)]


HEAP_DATA = 4
HEAP_EXEC = 1
