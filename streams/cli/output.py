"""What commands print: results on standard output, progress on standard error."""

from __future__ import annotations

import json
import sys


def say(line: str) -> None:
    """Print a line of progress, on standard error so that results can be piped."""
    print(line, file=sys.stderr, flush=True)


def print_json(result: object) -> None:
    """Print a result as one line of JSON on standard output."""
    print(json.dumps(result, ensure_ascii=False))


def someone_is_there() -> bool:
    """Say whether there is a person to answer a question: standard input is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def plain(text: str) -> str:
    """Write out what a terminal would act on, and what cannot be printed at all: values come from outside."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode("ascii") for one in text)
