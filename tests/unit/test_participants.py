"""Participants: what the topic's records say of their event, and the how-to's way from them to who met whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from resolvers.evidence import evidence_of
from resolvers.rules import Rules
from streams.events import Event, Identifier, Participant
from streams.participants import participant_records
from streams.settings import EntitySettings, IdentifierSettings

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "read-the-outputs.md"
RULES = Rules.from_settings({"person": EntitySettings(identifiers={"email": IdentifierSettings()})}, b"key")


def mail(**said: Any) -> Event:
    roles = {"from": "ann@quill.example", "to": "ben@quill.example", "cc": ""}
    people = [Participant("person", role, [Identifier("email", one)] if one else []) for role, one in roles.items()]
    return Event("m4", "mail", "email sent", "2024-05-04T08:00:00.000Z", participants=people, **said)


def records_of(event: Event) -> list[dict[str, Any]]:
    evidence = evidence_of(RULES, event)
    ids = tuple(f"per_{seen.index}" for seen in evidence.sightings)
    return [msgspec.json.decode(one.value or b"") for one in participant_records("topic", event, evidence, ids)]


def test_a_record_says_what_its_event_is() -> None:
    event = mail(type="email", significance=0, internal=False)
    said: dict[str, Any] = {
        "source": "mail",
        "event_id": "m4",
        "occurred_at": event.occurred_at,
        "event_name": "email sent",
        "entity_type": "person",
    }
    said |= {"participant_count": 3, "event_type": "email", "significance": 0, "internal": False}
    assert records_of(event) == [said | {"index": at, "entity_id": f"per_{at}", "role": role} for at, role in enumerate(["from", "to"])]


def test_what_the_event_does_not_say_is_left_out() -> None:
    assert records_of(mail())[0].keys().isdisjoint({"event_type", "significance", "internal"})


def test_the_how_to_gives_who_wrote_to_whom() -> None:
    code = re.search(r"## Who met whom.*?```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    first, second = records_of(mail())
    assert names["relations"](first) == []
    assert names["relations"](second) == [("per_1", "to", "per_0", "from", "email sent")]
    assert names["relations"](second | {"entity_id": "per_0"}) == []
