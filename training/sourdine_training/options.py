"""Frozen dataclasses of plain values ↔ TOML tables. Whatever a person can mistype is a Mistake that names the nearest."""

import dataclasses
import difflib
from typing import TYPE_CHECKING, Any, TypeVar

from sourdine_board.mistake import Mistake

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")
NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "a list"}


def filled(options: Options, table: dict[str, Any], where: str = "") -> Options:
    """`options` with the values of `table` in place of its own; nested tables fill nested dataclasses.

    The kinds of the values that are there say what may come: a number may be written as a whole one, and a list
    becomes a tuple. Raises Mistake; `where` is what it calls the table.
    """
    known = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    values = {}
    for name, value in table.items():
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise Mistake(f"{where}: nothing is called `{name}`; did you mean `{nearest}`?")
        if dataclasses.is_dataclass(known[name]):
            if not isinstance(value, dict):
                raise Mistake(f"{where}: `{name}` is a table: write [{name}], and its options below")
            values[name] = filled(known[name], value, f"{where} [{name}]".strip())
        else:
            values[name] = _like(known[name], value, f"{where}: `{name}`")
    try:
        return dataclasses.replace(options, **values)
    except ValueError as error:  # the dataclass checks more than kinds
        raise Mistake(f"{where}: {error}") from error


def table(options: Any) -> dict[str, Any]:
    """The other way, for tomli_w: plain values first, nested tables last, in the order of their definition."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    plain = {name: _listed(value) for name, value in values.items() if not dataclasses.is_dataclass(value)}
    return plain | {name: table(value) for name, value in values.items() if dataclasses.is_dataclass(value)}


def _like(known: Any, value: Any, where: str) -> Any:
    """`value` as the kind of thing that `known` is."""
    kind = type(known)
    if kind is tuple and isinstance(value, list):
        return tuple(_like(known[0] if known else "", each, where) for each in value)  # empty lists are of names
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise Mistake(f"{where} cannot be {value!r}: it is {NAMES[kind]}, such as {_shown(known)}")
    return value


def _listed(value: Any) -> Any:
    return [_listed(each) for each in value] if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(_listed(value))
