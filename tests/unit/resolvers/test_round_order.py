"""The order in which a round tells."""

from __future__ import annotations

from resolvers.port import OutputRecord
from resolvers.round_order import in_order


def line(key: str, kind: str, number: int = 0) -> OutputRecord:
    return OutputRecord("timeline", key, {"kind": kind, "number": number})


def test_of_each_entity_first_whether_it_lives_and_last_what_it_belongs_to() -> None:
    kinds = ["merge.refused", "membership.started", "state.refused", "trait.changed", "identifier.added", "entity.split", "entity.created"]
    told = in_order([*(line("a", kind) for kind in kinds), line("b", "entity.erased"), line("a", "state.changed")])
    assert [(one.key, one.value and one.value["kind"]) for one in told] == [
        ("a", "entity.created"),
        ("a", "entity.split"),
        ("a", "identifier.added"),
        ("a", "trait.changed"),
        ("a", "state.refused"),
        ("a", "state.changed"),
        ("a", "membership.started"),
        ("a", "merge.refused"),
        ("b", "entity.erased"),
    ]


def test_documents_come_first_and_what_is_of_one_kind_as_it_came() -> None:
    lines = [line("a", "identifier.removed", 1), line("a", "identifier.added", 2), line("a", "identifier.removed", 3)]
    document = OutputRecord("memberships", "a:b", None)
    assert in_order([lines[0], document, *lines[1:]]) == (document, *lines)
