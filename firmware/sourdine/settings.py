"""settings.json → checked values. What is wrong is named, with what to do about it."""

import json

PATH = "settings.json"
CERTIFICATES = ("certs/ca.der", "certs/device.der", "certs/key.der")


class NotPaired(Exception):
    """The board has no settings or no certificates yet."""


class BadSettings(Exception):
    """The settings cannot be used; the text says which value and why."""


def _text(values, key, longest, empty=False):
    value = values.get(key)
    if not isinstance(value, str) or len(value) > longest or not (value or empty):
        raise BadSettings(f"settings.json: {key} must be a text of at most {longest} characters")
    return value


def _table(values, key):
    value = values.get(key)
    if not isinstance(value, dict):
        raise BadSettings(f"settings.json: {key} is missing")
    return value


class Settings:
    """device, ssid, password, host, port, name, wake; ca, certificate, key as DER bytes."""

    def __init__(self, values):
        if not isinstance(values, dict):
            raise BadSettings("settings.json is not a table")
        wifi = _table(values, "wifi")
        server = _table(values, "server")
        self.device = _text(values, "device", 32)
        self.ssid = _text(wifi, "ssid", 32)
        self.password = _text(wifi, "password", 64, empty=True)
        self.host = _text(server, "host", 253)
        self.name = _text(server, "name", 253)
        self.port = server.get("port")
        if not isinstance(self.port, int) or not 0 < self.port < 65536:
            raise BadSettings("settings.json: port must be 1 … 65535")
        self.wake = _text(values, "wake", 64)
        for letter in self.wake:
            if letter not in "abcdefghijklmnopqrstuvwxyz0123456789_-":
                raise BadSettings("settings.json: wake is the name of a model, such as hey_sourdine")
        self.ca = self.certificate = self.key = None


def load(directory=""):
    """Read and check everything. Raises NotPaired, BadSettings."""
    try:
        with open(directory + PATH) as file:
            settings = Settings(json.load(file))
        blobs = []
        for path in CERTIFICATES:
            with open(directory + path, "rb") as file:
                blobs.append(file.read())
    except OSError:
        raise NotPaired("not paired; run sourdine pair")
    except ValueError:
        raise BadSettings("settings.json is not JSON; run sourdine pair again")
    settings.ca, settings.certificate, settings.key = blobs
    return settings
