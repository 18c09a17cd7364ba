"""The verification's guards against the resolver's: two computations of who is one, from one decision."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resolvers.edge import Together, strength
from resolvers.evidence import evidence_of
from resolvers.parts import parts_of
from resolvers.rules import Rules
from streams.events import Event, Identifier, Participant, encode_event
from streams.settings import EntitySettings, HubSettings, IdentifierSettings, Settings
from streams.verify.recompute import recompute
from tests.properties.depth import depth

TYPES = ("user_id", "email", "device")

Guards = tuple[tuple[int | None, int | None, int | None], int, int]
guards = st.tuples(st.tuples(*[st.sampled_from([None, 1, 2])] * 3), st.integers(1, 3), st.sampled_from([1, 2, 3, 5, 1_000]))
named = st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 4)), min_size=1, max_size=4, unique=True)
seen = st.lists(st.tuples(named, st.integers(0, 9)), min_size=1, max_size=16)


def settings_of(limits: tuple[int | None, int | None, int | None], over: int, size: int) -> Settings:
    hub = HubSettings(of="user_id", over=over)
    identifiers = {
        kind: IdentifierSettings(limit=limit, hub=None if kind == "user_id" else hub) for kind, limit in zip(TYPES, limits, strict=True)
    }
    return Settings(entities={"person": EntitySettings(identifiers=identifiers, size=size)})


def written(number: int, identifiers: list[tuple[str, int]], minute: int) -> Event:
    person = Participant("person", "", [Identifier(kind, f"v{value}") for kind, value in identifiers])
    return Event(f"e{number}", "crm", "seen", f"2024-05-01T09:0{minute}:00.000Z", participants=[person])


@depth(400)
@given(seen, guards)
def test_both_keep_the_same_apart(story: list[tuple[list[tuple[str, int]], int]], guards: Guards) -> None:
    settings = settings_of(*guards)
    events = [written(number, *one) for number, one in enumerate(story)]
    rules = Rules.from_settings(settings.entities, settings.identity_key.get_secret_value().encode(), settings.states)
    evidence = [evidence_of(rules, one) for one in events]
    together = [
        Together(tuple(sorted(sighting.identifiers, key=strength)), one.occurred_at) for one in evidence for sighting in one.sightings
    ]
    found = parts_of(together, rules.entities["person"])
    expected = recompute([encode_event(one) for one in events], settings)
    names = expected.identifiers
    assert {frozenset(names[one].digest for one in entity.members) for entity in expected.entities.values()} == set(found.parts)
    assert {names[one].digest for one in expected.off} == found.off
