"""What is wrong with the settings, in words: key path, value, what is allowed, and the nearest known key.

Invariant: no secret is ever in a message. Neighbours: `model` turns pydantic's errors into a SettingsError here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from streams.settings.problem import Problem, ProblemsFound, suggestion
from streams.settings.schema import keys_at

_SECRET = re.compile(r"key$|password|secret|token")
_USERINFO = re.compile(r"(?<=://)[^@/\s]*@")
_LONGEST = 80
_PLAIN = {"dictionary": "a mapping", "list": "a list", "string": "text (in quotes if it looks like a number)", "boolean": "true or false"}


def describe(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Return one line per problem, each beginning with `where`."""
    lines = []
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, ProblemsFound):
            lines += [line(problem) for problem in cause.problems]
            continue
        lines.append(line(_problem(item, model)))
    return "\n".join(f"{where}: {text}" for text in dict.fromkeys(lines))


def line(problem: Problem) -> str:
    """Return one problem as `path: value: what is allowed`, the value left out where it is a secret."""
    path = key_path(problem.path)
    if problem.value is None:
        return f"{path}: {problem.allowed}"
    return f"{path}: {_shown(problem)}: {problem.allowed}"


def key_path(path: Sequence[str | int]) -> str:
    """Return a path as it is written in messages: `sources.crm.participants[0].identifiers`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "settings"


def without_password(text: str) -> str:
    """Return a text with the user and password of every address in it left out."""
    return _USERINFO.sub("***@", text)


def _shown(problem: Problem) -> str:
    if any(isinstance(part, str) and _SECRET.search(part) for part in problem.path):
        return "(secret)"
    if isinstance(problem.value, dict | list | BaseModel):
        return f"a {'list' if isinstance(problem.value, list) else 'mapping'}"
    text = without_password(repr(problem.value) if not isinstance(problem.value, bool) else str(problem.value).lower())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _problem(item: ErrorDetails, model: type[BaseModel]) -> Problem:
    path: tuple[str | int, ...] = item["loc"]
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        known = keys_at(model, path[:-1])
        word = str(path[-1])
        return Problem(path, None, f"there is no such key; allowed: {', '.join(known)}{suggestion(word, known)}")
    if kind == "missing":
        return Problem(path, None, "must be given")
    if kind == "literal_error":
        known = _choices(context.get("expected", ""))
        return Problem(path, item["input"], f"must be one of {', '.join(known)}{suggestion(str(item['input']), known)}")
    if kind == "string_pattern_mismatch":
        return Problem(path, item["input"], f"must match {context['pattern']}")
    if "min_length" in context or "max_length" in context:
        return Problem(path, item["input"], _size(item, context))
    return Problem(path, item["input"], _sentence(item["msg"]))


def _size(item: ErrorDetails, context: dict[str, Any]) -> str:
    unit = "entries" if isinstance(item["input"], dict | list) else "characters"
    bound = f"at least {context['min_length']}" if "min_length" in context else f"at most {context['max_length']}"
    return f"must have {bound} {unit}"


def _sentence(message: str) -> str:
    message = re.sub(r"^(Input|Value|String|Dictionary|List) should", "must", message)
    return re.sub(r"a valid (dictionary.*|list|string|boolean)$", lambda found: _PLAIN.get(found[1].split()[0], found[0]), message)


def _choices(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected)
