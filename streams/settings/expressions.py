"""Expressions in the settings: what is wrong with them, as problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
