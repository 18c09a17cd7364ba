"""Looking up what the settings' models say about a key path.

Invariant: pure; knows pydantic's models and no value. Neighbours: messages, the environment and the reference
page all ask here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel


def annotation_at(model: type[BaseModel], path: Sequence[str | int]) -> Any:  # noqa: ANN401 - types are values here
    """Return the type that a key path holds, or None where the models have no such key."""
    annotation: Any = model
    for part in path:
        current = model_in(annotation)
        if current is not None:
            field = current.model_fields.get(str(part))
            annotation = None if field is None else field.annotation
        elif container(annotation) in (dict, list):
            annotation = get_args(annotation)[-1]
        elif annotation is not Any:
            annotation = None
        if annotation is None:
            return None
    return annotation


def keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the keys that are allowed below a path, or nothing where any key is."""
    found = model_in(annotation_at(model, path))
    return list(found.model_fields) if found else []


def model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that a type is or may be; a container of models is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if container(annotation) in (dict, list):
        return None
    return next((found for part in get_args(annotation) if (found := model_in(part))), None)


def container(annotation: object) -> type | None:
    """Return dict or list for a type that is one, else None."""
    origin = get_origin(annotation)
    return origin if origin in (dict, list) else None
