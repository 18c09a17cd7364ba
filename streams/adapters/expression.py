"""Expressions of the settings: JMESPath, with the common plain forms compiled to closures.

Field chains (`a.b.c`), literals and lists of those (`[email, other_email]`) become closures, about ten times as fast
as walking the syntax tree; everything else is JMESPath itself. Both give the same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jmespath
from jmespath.functions import Functions
from jmespath.parser import ParsedResult

from resolvers.errors import Rejected, SettingsError
from resolvers.expressions import unknown_functions

Expression = Callable[[dict[str, Any]], object]
"""Takes a decoded document, gives a JSON value or None. Raises Rejected when a function refuses its argument."""


def compile_expression(text: str, where: str) -> Expression:
    """Compile an expression once, for any number of documents.

    `where` names the source and the key in messages. Raises SettingsError for a syntax error or an unknown function.
    """
    try:
        compiled = jmespath.compile(text)
        unknown = sorted(unknown_functions(compiled.parsed))
        plain = _plain(compiled.parsed)
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{where}: {text!r} is not a JMESPath expression: {reason}") from error
    if unknown:
        allowed = ", ".join(sorted(Functions.FUNCTION_TABLE))
        raise SettingsError(f"{where}: {text!r} calls the function {unknown[0]!r}, which JMESPath does not have; allowed: {allowed}")
    return plain if plain is not None else _searching(compiled, text, where)


def _searching(compiled: ParsedResult, text: str, where: str) -> Expression:
    def search(document: dict[str, Any]) -> object:
        try:  # its functions let Python's own errors through
            found: object = compiled.search(document)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise Rejected(f"{where}: the expression {text!r} fails on this record: {reason}") from error
        return found

    return search


def _plain(node: dict[str, Any]) -> Expression | None:
    """Give the closure of a node of the syntax tree that stands at the top, or None if it takes JMESPath."""
    match node["type"]:
        case "literal":
            return _constant(node["value"])
        case "field" | "subexpression":
            keys = _chain(node)
            return None if keys is None else _getter(keys)
        case "multi_select_list":
            return _list_of([_plain(child) for child in node["children"]])
        case _:
            return None


def _chain(node: dict[str, Any]) -> tuple[str, ...] | None:
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return None
    keys: tuple[str, ...] = ()
    for child in node["children"]:
        part = _chain(child)
        if part is None:
            return None
        keys += part
    return keys


def _constant(value: object) -> Expression:
    def constant(document: dict[str, Any]) -> object:  # noqa: ARG001 - it is an expression like the others
        return value

    return constant


def _getter(keys: tuple[str, ...]) -> Expression:
    first, *others = keys

    def field(document: dict[str, Any]) -> object:
        return document.get(first)

    def chain(document: dict[str, Any]) -> object:
        value = document.get(first)
        for key in others:
            if type(value) is not dict:
                return None
            value = value.get(key)
        return value

    return chain if others else field


def _list_of(items: list[Expression | None]) -> Expression | None:
    expressions = [item for item in items if item is not None]
    if len(expressions) != len(items):
        return None

    def listed(document: dict[str, Any]) -> object:
        return [item(document) for item in expressions]

    return listed
