"""Expressions in the settings: what is wrong with them, as problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from resolvers.expressions import unknown_functions
from streams.settings.problem import Path, Problem


def expression_problems(path: Path, expressions: Mapping[str, str | None]) -> Iterator[Problem]:
    """List the expressions, by key, that are no JMESPath, or call what it does not have; None is left out."""
    for key, expression in expressions.items():
        try:
            unknown = sorted(unknown_functions(jmespath.compile(expression).parsed)) if expression is not None else []
        except JMESPathError as error:
            yield Problem((*path, key), expression, f"must be a JMESPath expression: {str(error).splitlines()[0].removesuffix(':')}")
        else:
            if unknown:
                yield Problem((*path, key), expression, f"calls {unknown[0]!r}, which JMESPath does not have")


_OF_WHAT_COMES_FIRST = {"subexpression", "index_expression", "pipe", "projection", "value_projection", "filter_projection", "flatten"}
"""Nodes whose first child alone is about what the whole expression is about."""

Node = dict[str, Any]


def names_in(expression: str) -> set[str]:
    """Name what an expression asks for of what it is about; `null` is often written for a name that nothing has."""
    node = _parsed(expression)
    return _names(node) - {"null"} if node else set()


def _names(node: Node) -> set[str]:
    if node["type"] == "field":
        return {node["value"]}
    if node["type"] == "expref":
        return set()
    children: list[Node] = [one for one in node["children"] if isinstance(one, dict)]
    asked = children[:1] if node["type"] in _OF_WHAT_COMES_FIRST else children
    return set().union(*map(_names, asked))


def literals_of(expression: str) -> set[str]:
    """Give the texts that stand in an expression as what it may give."""
    node = _parsed(expression)
    return set(_literals(node)) if node else set()


def _literals(node: Node) -> Iterator[str]:
    match node["type"]:
        case "literal" if isinstance(node["value"], str):
            yield node["value"]
        case "or_expression":
            yield from _literals(node["children"][0])
            yield from _literals(node["children"][1])
        case "and_expression" | "pipe":
            yield from _literals(node["children"][1])
        case _:
            pass


def _parsed(expression: str) -> Node | None:
    try:
        parsed: Node = jmespath.compile(expression).parsed
    except JMESPathError:
        return None
    return parsed
