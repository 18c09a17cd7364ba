"""A finding: the one thing that all checks give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do about it."""

    level: Literal["ok", "warning", "error"]
    what: str
    text: str
