"""The reference page of the settings, generated from the models: `python -m streams.settings.reference`.

Invariant: the page says nothing that the models do not. Neighbours: `make docs` writes it to
docs/reference/settings.md, and a test keeps the two equal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from streams.settings.model import Settings
from streams.settings.schema import model_in

HEAD = """\
# Settings

Generated from the code by `python -m streams.settings.reference`; do not edit.

The settings are one YAML file: the one that `--config` names, else the one that `NEXUS_CONFIG` names, else
`nexus.yaml` in the working directory, else only the defaults below. Unknown keys are errors.

Environment variables go over the file: `NEXUS__KAFKA__BOOTSTRAP_SERVERS=broker:9092` sets
`kafka.bootstrap_servers`. Names compare without case; a list or a mapping is JSON
(`NEXUS__WORKER__STAGES='["adapt"]'`), mappings are laid over the file's key by key. A variable that begins with
`NEXUS__` and names no setting is an error. With `_FILE` behind its name a variable names a file that holds the value, as secrets are
mounted: `NEXUS__REDIS__URL_FILE=/run/secrets/redis`.

Fixed at the birth of a space: `space`, `identity_key`, `partitions`, `redis.buckets`.
"""

_PLACE = {dict: "<name>", list: "[]"}


def page() -> str:
    """Return the whole page as Markdown."""
    return "\n".join([HEAD, *_section("", Settings)]) + "\n"


def _section(path: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## `{path}`" if path else "## The file"
    yield ""
    if path:
        yield f"{(model.__doc__ or '').strip().splitlines()[0]}\n"
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        yield f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {field.description or ''} |"
    yield ""
    for name, field in model.model_fields.items():
        yield from _below(f"{path}.{name}".removeprefix("."), field.annotation)


def _below(path: str, annotation: object) -> Iterator[str]:
    origin = get_origin(annotation)
    if origin in _PLACE:
        yield from _below(f"{path}{'.' if origin is dict else ''}{_PLACE[origin]}", get_args(annotation)[-1])
        return
    model = model_in(annotation)
    if model is not None:
        yield from _section(path, model)


def _type(annotation: Any) -> str:  # noqa: ANN401 - types are values here
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in {UnionType, Union}:
        return " or ".join(_type(part) for part in arguments if part is not type(None))
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[1])}"
    if model_in(annotation) is not None:
        return "section"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", SecretStr: "secret", Any: "anything"}
    return names[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    if field.default_factory is not None:
        return ""
    if isinstance(field.default, SecretStr):
        return "one for trying out"
    if field.default is None:
        return ""
    if isinstance(field.default, list):
        return f"`[{', '.join(field.default)}]`"
    return "empty" if field.default == "" else f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


if __name__ == "__main__":
    sys.stdout.write(page())
