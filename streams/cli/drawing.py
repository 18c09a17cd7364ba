"""An entity's graph, written as JSON or for Graphviz.

Invariant: nothing of a value is taken for syntax. Neighbours: `ask` reads the graph, `resolvers.reach` bounds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from resolvers.identifier import Identifier
from resolvers.instant import write_instant
from resolvers.link import SeenLink, link_document
from resolvers.reach import Drawing
from streams.cli.output import plain


def as_json(document: Mapping[str, Any], drawing: Drawing) -> dict[str, Any]:
    """Write which entity it is, its identifiers and its links, the oldest first."""
    return {
        "entity_id": document["entity_id"],
        "entity_type": document["entity_type"],
        "identifier_count": document["identifier_count"],
        "identifiers": [{"type": one.type, "value": one.value} for one in drawing.identifiers],
        "links": [link_document(link) for link in drawing.links],
        "cut": drawing.cut,
    }


def as_dot(entity_id: str, drawing: Drawing) -> str:
    """Write an undirected graph: a link is a star, from its strongest identifier to each of the others."""
    lines = [f"graph {_quoted(entity_id)} {{", "  node [shape=box];"]
    if drawing.cut:
        lines.append(f"  label={_quoted(cut_line(drawing))};")
    lines += [f"  {_node(one)};" for one in drawing.identifiers]
    lines += [f"  {edge};" for link in drawing.links for edge in _edges(link)]
    return "\n".join([*lines, "}"])


def cut_line(drawing: Drawing) -> str:
    """Say that a graph was cut."""
    return f"cut: {len(drawing.identifiers):,} identifiers and {len(drawing.links):,} links of a larger entity, nearest to its founder"


def _edges(link: SeenLink) -> Iterator[str]:
    centre, first = link.identifiers[0].identifier, link.first
    label = _quoted(f"{first.source} {first.event_id} {write_instant(first.occurred_at)}")
    for usable in link.identifiers[1:]:
        yield f"{_node(centre)} -- {_node(usable.identifier)} [label={label}]"


def _node(identifier: Identifier) -> str:
    return _quoted(f"{identifier.type}:{identifier.value}")


def _quoted(text: str) -> str:
    """Quote for DOT, where a backslash begins an escape of labels and a quote ends the word."""
    escaped = plain(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
