"""Settings: what is wrong is named; nothing half right is used."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourdine.settings import CERTIFICATES, BadSettings, NotPaired, Settings, load

GOOD = {
    "device": "kitchen",
    "wifi": {"ssid": "home", "password": ""},
    "server": {"host": "192.0.2.7", "port": 7443, "name": "hub.sourdine.internal"},
    "wake": "alexa",
}


def put(folder, text=None, certificates=CERTIFICATES):
    (folder / "certs").mkdir()
    (folder / "settings.json").write_text(json.dumps(GOOD) if text is None else text)
    for path in certificates:
        (folder / path).write_bytes(b"der")
    return str(folder) + "/"


def test_good_settings_are_read(tmp_path):
    settings = load(put(tmp_path))
    assert (settings.device, settings.port, settings.wake, settings.ca) == ("kitchen", 7443, "alexa", b"der")


def test_a_board_without_settings_or_certificates_says_pair(tmp_path):
    with pytest.raises(NotPaired, match="sourdine pair"):
        load(str(tmp_path) + "/")
    with pytest.raises(NotPaired, match="sourdine pair"):
        load(put(tmp_path, certificates=CERTIFICATES[:2]))


def test_text_that_is_not_json_says_pair_again(tmp_path):
    with pytest.raises(BadSettings, match="not JSON"):
        load(put(tmp_path, text='{"device": "kit'))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"device": ""}, "device"),
        ({"device": 7}, "device"),
        ({"wifi": None}, "wifi"),
        ({"wifi": {"ssid": "x" * 33, "password": ""}}, "ssid"),
        ({"server": {"host": "h", "port": 0, "name": "n"}}, "port"),
        ({"server": {"host": "h", "port": "7443", "name": "n"}}, "port"),
        ({"server": {"host": "h", "port": 7443}}, "name"),
        ({"wake": "../secret"}, "wake"),
    ],
)
def test_each_bad_value_is_named(change, word):
    with pytest.raises(BadSettings, match=word):
        Settings({**GOOD, **change})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values | st.dictionaries(st.sampled_from(sorted(GOOD)), json_values))
def test_no_json_at_all_does_more_than_raise(values):
    with pytest.raises(BadSettings):
        Settings(values)
