"""A change of an entity, as the timeline tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resolvers.entity import Fact

NOBODY = Fact(0, "", "")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one entity, told at the event time, source and event id that brought it."""

    kind: str
    event: Fact
    data: dict[str, Any]
