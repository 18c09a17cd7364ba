from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.settings import Settings, StateSettings
from streams.verify.compacted import TopicRecord
from streams.verify.compare_timeline import Timeline
from streams.verify.expected import Expected
from streams.verify.recompute import recompute
from streams.verify.states import FOLLOWS, NOT_ALLOWED, TOO_LONG
from streams.verify.usable import Usable
from tests.unit.verify.pipeline import event, person
from tests.unit.verify.story import id_of

SETTINGS = Settings(
    states=[
        StateSettings.model_validate(one)
        for one in (
            {"name": "app_plan", "entity": "person", "participant": "plan", "values": ["free", "team"]},
            {"name": "app_use", "entity": "person", "participant": "use"},
            {
                "name": "app_stage",
                "entity": "person",
                "values": ["new", "on"],
                "initial": "new",
                "derived": {"components": {"use": "app_use"}, "value": "use || join('', ['no', 'ne'])"},
            },
        )
    ],
)
AT = "2024-05-01T10:00:00.000Z"
LATER = "2024-05-01T11:00:00.000Z"
LONG = "x" * 1_000 + "…"


def seen(number: int, at: str, *people: dict[str, Any], **states: str) -> bytes:
    return event(number, at, *(one | {"states": states} for one in people))


EVENTS = [
    seen(1, AT, person("user_id:ann"), plan="gold", theme="x" * 2_000),
    seen(2, LATER, person("user_id:ann"), app_stage="on", use="off"),
    seen(3, AT, person("user_id:bob"), plan="tin", use="on"),
]


def told(state: str, value: str, reason: str, number: int | None = 1, at: str | None = AT) -> dict[str, Any]:
    named = {"occurred_at": at, "event_id": number and f"e{number}", "source": number and "crm"}
    return {"kind": "state.refused", **named, "data": {"state": state, "value": value, "reason": reason}}


RIGHT = [
    told("app_plan", "gold", NOT_ALLOWED),
    told("theme", LONG, TOO_LONG),
    told("app_stage", "on", FOLLOWS, 2, LATER),
    told("app_stage", "none", NOT_ALLOWED, None),
    told("app_stage", "off", NOT_ALLOWED, 2, LATER),
]


def found(lines: list[dict[str, Any]], expected: Expected) -> list[tuple[str, str]]:
    """Give what is wrong with what was told of Ann to be refused: (kind, text)."""
    timeline, ann = Timeline(expected), id_of(expected, "person:user_id:ann")
    for at, line in enumerate(lines):
        record = {"entity_id": ann, "entity_type": "person", "id": str(at), "version": 1, "data": {}} | line
        timeline.add(TopicRecord(0, at, ann.encode(), orjson.dumps(record)))
    return [(one.kind, one.text) for one in timeline.differences() if one.subject == ann and one.kind.startswith("timeline.refusal")]


def kinds(*lines: dict[str, Any]) -> list[str]:
    return [kind for kind, _ in found(list(lines), recompute(EVENTS, SETTINGS))]


def test_what_must_be_told_and_is_told_is_right() -> None:
    assert kinds(*RIGHT) == []


@pytest.mark.parametrize("left_out", range(len(RIGHT)))
def test_a_refusal_that_was_not_told_is_missing(left_out: int) -> None:
    assert kinds(*RIGHT[:left_out], *RIGHT[left_out + 1 :]) == ["timeline.refusal_missing"]


@pytest.mark.parametrize(
    "wrong",
    [
        told("app_plan", "gold", NOT_ALLOWED, 2, LATER),  # another event's
        told("app_plan", "gold", NOT_ALLOWED, 1, LATER),
        told("app_plan", "gold", NOT_ALLOWED, 9),  # no event of the log
        told("app_plan", "lead", NOT_ALLOWED),
        told("app_plan", "gold", NOT_ALLOWED, None),
        told("app_stage", "odd", NOT_ALLOWED, 1),  # which says nothing of what it follows from
    ],
)
def test_what_no_event_of_the_log_can_have_brought_is_wrong(wrong: dict[str, Any]) -> None:
    assert kinds(*RIGHT, wrong) == ["timeline.refusal"]


@pytest.mark.parametrize(
    "before",
    [
        told("app_plan", "free", NOT_ALLOWED),  # which is allowed today
        told("app_plan", "gold", TOO_LONG),
        told("app_plan", "gold", FOLLOWS),
        told("theme", LONG, NOT_ALLOWED),
        told("app_stage", "on", NOT_ALLOWED, 2, LATER),
        told("app_gone", "on", NOT_ALLOWED),
    ],
)
def test_what_was_refused_when_states_were_declared_otherwise_stays_right(before: dict[str, Any]) -> None:
    assert kinds(*RIGHT, before) == []


def test_what_was_told_of_evidence_that_went_to_another_entity_stays_right() -> None:
    assert kinds(*RIGHT, told("app_plan", "tin", NOT_ALLOWED, 3), told("app_stage", "on", FOLLOWS, 2, LATER)) == []


def test_what_was_told_of_evidence_that_was_erased_stays_right() -> None:
    named = [{"entity_type": "person", "type": "user_id", "digest": Usable(SETTINGS).digest("person", "user_id", "bob").hex()}]
    erasure = {"command_id": "1", "command": "erase", "identifiers": named, "issued_at": LATER, "cutoff": LATER}
    expected = recompute(EVENTS, SETTINGS, [(orjson.dumps(erasure), 1_800_000_000_000)])
    assert found([*RIGHT, told("app_plan", "tin", NOT_ALLOWED, 3)], expected) == []


@pytest.mark.parametrize("kind", ["entity.created", "entity.erased"])
def test_who_lives_again_is_told_all_of_it_again(kind: str) -> None:
    assert kinds(*RIGHT, {"kind": kind}) == ["timeline.refusal_missing"] * len(RIGHT)
    assert kinds(*RIGHT, {"kind": kind}, *RIGHT) == []


def test_a_refusal_of_two_participants_of_one_event_is_told_twice() -> None:
    twice = [seen(1, AT, person("user_id:ann"), person("user_id:ann"), plan="gold")]
    line, begins = told("app_plan", "gold", NOT_ALLOWED), told("app_stage", "none", NOT_ALLOWED, None)
    expected = recompute(twice, SETTINGS)
    assert [kind for kind, _ in found([line, begins], expected)] == ["timeline.refusal_missing"]
    assert found([line, line, begins], expected) == []
