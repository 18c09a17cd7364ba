"""What `nexus explain` says: an answer in words, line by line, and for programs.

Neighbours: `streams.explaining` finds the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from resolvers.apart import Apart, Reason, Why
from resolvers.explanation import Connected, NotConnected, Step
from resolvers.identifier import Identifier
from resolvers.instant import write_instant
from resolvers.link import link_document
from streams.cli.output import plain
from streams.explaining import Answer, GaveUp, KeptApart, Off

_BESIDE = 5
"""So many further identifiers of a link are named for people."""


def answer_lines(one: Identifier, other: Identifier, found: Answer) -> list[str]:
    """Say an answer in words, line by line."""
    match found:
        case Connected(()):
            return [f"{_name(one)} and {_name(other)} are the same identifier"]
        case Connected(chain):
            return [f"{_name(one)} and {_name(other)} are connected by {_links(len(chain))}:", *(f"  {_line(step)}" for step in chain)]
        case KeptApart(owners):
            return [f"{_name(one)} belongs to {owners[0]}, {_name(other)} to {owners[1]}; they are kept apart:", *_guards(found)]
        case NotConnected():
            return [f"nothing connects {_name(one)} and {_name(other)}: no links lead from one to the other"]
        case Off(reason):
            return [reason_line(reason)]
        case GaveUp(owners, links):
            whose = f"both belong to {owners[0]}" if owners[0] == owners[1] else f"they belong to {owners[0]} and {owners[1]}"
            return [f"gave up on {_name(one)} and {_name(other)} after {_links(links)}: {whose}"]


def answer_document(one: Identifier, other: Identifier, found: Answer) -> dict[str, Any]:
    """Write an answer for programs: `outcome` says which it is, and `told` has it in words where they are not connected."""
    ends = {"from": _document(one), "to": _document(other)}
    told = {**ends, "told": answer_lines(one, other, found)}
    match found:
        case Connected(chain):
            return {"outcome": "connected", **ends, "links": [_step(step) for step in chain]}
        case KeptApart(owners, apart):
            return {"outcome": "apart", **told, "apart": {"entities": owners, **_apart(found, apart)}}
        case NotConnected():
            return {"outcome": "nothing", **told}
        case Off(reason):
            return {"outcome": "off", **told, "off": _guard(reason)}
        case GaveUp(owners, links):
            return {"outcome": "gave_up", **told, "gave_up": {"entities": owners, "links_read": links}}


def reason_line(reason: Reason) -> str:
    """Say in words what a guard does."""
    name = _name(reason.identifiers[0])
    if reason.why is Why.BLOCKED:
        return f"{name} connects nothing and belongs to nobody: a command blocks it"
    if reason.why is Why.HUB:
        return f"{name} connects nothing and belongs to nobody: it is a hub, seen with more than {reason.most:,} of type {reason.of}"
    refused = f"refused ({reason.why.value}): {name} and {_name(reason.identifiers[1])}, "
    if reason.why is Why.LIMIT:
        return refused + f"else more than {reason.most:,} of type {reason.of} would be one"
    if reason.why is Why.SIZE:
        return refused + f"else more than {reason.most:,} identifiers would be one"
    return refused + f"since a command forbids that {' and '.join(map(_name, reason.pair))} are one"


def _guards(found: KeptApart) -> Iterator[str]:
    """Say link by link what keeps the two apart."""
    for step, reasons in found.apart.steps:
        yield f"  {_line(step)}"
        yield from (f"    {reason_line(reason)}" for reason in reasons)
        owners = [found.owner_of.get(stop) for stop in (step.start, step.end)]
        if not reasons and owners[0] != owners[1]:
            yield f"    refused: {_name(step.start)} belongs to {owners[0]}, {_name(step.end)} to {owners[1]}; by what was not computed"
    if found.apart.cut:
        yield f"  of the links around them {found.apart.read:,} were read, and there are more: blocked identifiers and hubs are named,"
        yield "  but what a limit, the size or a forbidden pair refuses was not computed"


def _apart(found: KeptApart, apart: Apart) -> dict[str, Any]:
    links = [
        {
            **_step(step),
            "guards": [_guard(reason) for reason in reasons],
            **({"entities": [found.owner_of[step.start], found.owner_of[step.end]]} if apart.cut else {}),
        }
        for step, reasons in apart.steps
    ]
    return {"links": links, "links_read": apart.read, "cut": apart.cut}


def _guard(reason: Reason) -> dict[str, Any]:
    told: dict[str, Any] = {"guard": reason.why.value, "identifiers": _documents(reason.identifiers)}
    told |= {"of": reason.of} if reason.of else {}
    told |= {"most": reason.most} if reason.most else {}
    return told | ({"pair": _documents(reason.pair)} if reason.pair else {})


def _line(step: Step) -> str:
    event = step.link.first
    beside = sorted(step.link.linked - {step.start, step.end})
    also = f" (and {', '.join(map(_name, beside[:_BESIDE]))}{', ...' if len(beside) > _BESIDE else ''})" if beside else ""
    seen = f"{_name(step.start)} with {_name(step.end)}{also}"
    if not event.source:
        return f"{seen}: by command, {write_instant(event.occurred_at)}"
    return f"{seen}: event {plain(event.event_id)} of {plain(event.source)}, {write_instant(event.occurred_at)}"


def _links(count: int) -> str:
    return f"{count:,} link{'' if count == 1 else 's'}"


def _name(identifier: Identifier) -> str:
    return plain(f"{identifier.type}:{identifier.value}")


def _document(identifier: Identifier) -> dict[str, Any]:
    return {"entity_type": identifier.entity_type, "type": identifier.type, "value": identifier.value}


def _documents(identifiers: Sequence[Identifier]) -> list[dict[str, Any]]:
    return [_document(identifier) for identifier in identifiers]


def _step(step: Step) -> dict[str, Any]:
    return {"from": _document(step.start), "to": _document(step.end), **link_document(step.link)}
