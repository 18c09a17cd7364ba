"""What deploy/monitoring asks of Prometheus: every query of the rules and of the dashboard."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
MONITORING = ROOT / "deploy" / "monitoring"
INTERVAL = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, and where it stands."""

    where: str
    text: str


def rules() -> list[dict[str, Any]]:
    """Read the alerts."""
    document = yaml.safe_load((MONITORING / "rules.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Read the dashboard's panels."""
    found: list[dict[str, Any]] = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return found


def alert_queries() -> list[Query]:
    """Give the expression of each alert."""
    return [Query(rule["alert"], rule["expr"]) for rule in rules()]


def panel_queries() -> list[Query]:
    """Give the expressions of each panel."""
    return [Query(panel["title"], target["expr"]) for panel in panels() for target in panel.get("targets", [])]


def compared(text: str) -> list[str]:
    """Cut an alert's expression into its sides: what it compares must have values, whether or not it fires."""
    sides = re.split(r"\s(?:>|<|==|and|or)\s", " ".join(text.split()))
    return [side.strip() for side in sides if not re.fullmatch(r"[\d.]+", side.strip())]
