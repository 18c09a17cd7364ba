"""Expressions of rules: what they give, where asking must never fail.

A JMESPath function refuses an argument of another type, and what is asked about may have no value yet. Invariant: who cannot be
answered is answered with nothing, the same everywhere.
"""

from __future__ import annotations

from typing import Any

from jmespath.functions import Functions

MOST_CHARACTERS = 1_000
"""A longer value is none of a state: documents and the timeline list many."""

CUT = "\u2026"
"""Follows what is kept of a longer one, which is longer still than any value that a state may have: so it is refused."""


def cut(value: str) -> str:
    """Keep the first characters of a value that is too long."""
    return value if len(value) <= MOST_CHARACTERS else value[:MOST_CHARACTERS] + CUT


def asked(expression: Any, what: object) -> Any:  # noqa: ANN401 - a compiled expression, and whatever it gives
    """Give what a compiled expression says of something; None where it can't be answered."""
    try:
        return expression.search(what)
    except Exception:  # noqa: BLE001 - the library lets Python's own errors through
        return None


def unknown_functions(node: dict[str, Any]) -> set[str]:
    """Name the functions that a parsed expression calls and JMESPath does not have."""
    here = {str(node["value"])} - set(Functions.FUNCTION_TABLE) if node.get("type") == "function_expression" else set()
    return here.union(*(unknown_functions(child) for child in node.get("children", ()) if isinstance(child, dict)))
