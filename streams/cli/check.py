"""`nexus check`: are the settings right, and does what they name answer.

Invariant: nothing is changed. Neighbours: `topics` and `adapt` look at one part each.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import adapt, topics
from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from streams.finding import Finding
    from streams.settings import Settings
    from streams.settings.states import ComponentSettings


def register(app: typer.Typer) -> None:
    """Add the commands that look at settings, topics and adapters."""
    app.command("check")(check)
    topics.register(app)
    adapt.register(app)


def check(
    config: ConfigOption = None,
    connect: Annotated[bool, typer.Option("--connect", help="Ask Kafka and Redis too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the settings, show the rules they make, and say what is missing for production.

    Exits 1 if something is wrong; warnings alone do not.
    """
    from streams.checkup import examine, examine_outside  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    findings = examine(settings)
    if connect:
        findings += asyncio.run(examine_outside(settings))
    errors = [finding for finding in findings if finding.level == "error"]
    if as_json:
        found = [dataclasses.asdict(finding) for finding in findings]
        print_json({"ok": not errors, "findings": found, "rules": _rule_rows(settings), "states": _state_rows(settings)})
    else:
        _show(settings, findings)
    if errors:
        say(f"nexus: {len(errors)} of {len(findings)} checks failed; the first: {errors[0].what}: {errors[0].text}")
        raise typer.Exit(1)


def _rule_rows(settings: Settings) -> list[dict[str, Any]]:
    rows = []
    for name, entity in settings.entities.items():
        for kind, identifier in sorted(entity.identifiers.items(), key=lambda item: item[1].priority or 0):
            hub = {"of": identifier.hub.of, "over": identifier.hub.over} if identifier.hub else None
            rows.append(
                {
                    "entity_type": name,
                    "prefix": entity.prefix,
                    "size": entity.size,
                    "identifier_type": kind,
                    "priority": identifier.priority,
                    "normalise": identifier.normalise,
                    "region": identifier.region,
                    "limit": identifier.limit,
                    "hub": hub,
                    "blocked": len(entity.blocked) + len(identifier.blocked),
                }
            )
    return rows


def _state_rows(settings: Settings) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "entity_type": one.entity,
            "description": one.description,
            "participant": None if one.derived else one.participant or one.name,
            "rules": len(one.rules),
            "derived_from": sorted({_component(each) for each in one.derived.components.values()}) if one.derived else [],
            "values": one.values,
            "initial": one.initial,
            "lapses": [f"{each.value} to {each.becomes} after {each.after}" for each in one.lapses],
        }
        for one in settings.states
    ]


def _component(one: ComponentSettings) -> str:
    return f"{one.state} of {one.of}" if one.of else one.state


def _origin(row: dict[str, Any]) -> str:
    """Say where a state comes from."""
    if row["derived_from"]:
        return f"derived from {', '.join(row['derived_from'])}"
    rules = f", {row['rules']} rule{'s' * (row['rules'] > 1)}" if row["rules"] else ""
    return f"participants' {row['participant']}{rules}"


def _show(settings: Settings, findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Column, Table  # noqa: PLC0415

    console = Console(highlight=False)
    table = Table("entity", "prefix", "identifier", "priority", "normalise", "limit", "blocked", title=f"Rules of space {settings.space}")
    for row in _rule_rows(settings):
        table.add_row(
            row["entity_type"],
            row["prefix"],
            row["identifier_type"],
            str(row["priority"]),
            " ".join(part for part in (row["normalise"], row["region"]) if part),
            str(row["limit"] or "-"),
            str(row["blocked"] or "-"),
        )
    console.print(table)
    if settings.states:
        states = Table(
            Column("state", no_wrap=True), "entity", Column("comes from", overflow="fold"), "values", "initial", "lapses", title="States"
        )
        for row in _state_rows(settings):
            values = ", ".join(row["values"]) if row["values"] else "any"
            said = (row["name"], row["entity_type"], _origin(row), values, row["initial"] or "-", "; ".join(row["lapses"]) or "-")
            states.add_row(*map(escape, said))
        console.print(states)
        for row in _state_rows(settings):
            if row["description"]:
                console.print(f"{row['name']}: {escape(row['description'])}", soft_wrap=True)
    marks = {"ok": "[green]ok[/]     ", "warning": "[yellow]warning[/]", "error": "[red]error[/]  "}
    for finding in findings:
        console.print(f"{marks[finding.level]} {escape(finding.what)}: {escape(finding.text)}", soft_wrap=True)
