"""States and traits: the verification's own computation and the specification's say the same of any set of events."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from resolvers.entity import entity_document
from resolvers.memory import MemoryResolver
from resolvers.rules import Rules
from streams.events import Event, encode_event
from streams.settings import EntitySettings, IdentifierSettings, Settings
from streams.verify.recompute import recompute
from tests.histories import batch
from tests.properties.depth import depth
from tests.properties.strategies import events
from tests.properties.test_guards_in_order import STATES, TRAITS

PERSON = {kind: IdentifierSettings() for kind in ("user_id", "email", "device")}
GROUP = {kind: IdentifierSettings() for kind in ("domain", "shop")}
SETTINGS = Settings(
    entities={
        "person": EntitySettings(identifiers=PERSON, traits=TRAITS["person"]),
        "group": EntitySettings(identifiers=GROUP, traits=TRAITS["group"]),
    },
    states=STATES,
)
RULES = Rules.from_settings(SETTINGS.entities, SETTINGS.identity_key.get_secret_value().encode(), SETTINGS.states)


@depth(200)
@given(st.lists(events, min_size=1, max_size=12))
def test_both_give_every_state_the_same_history(seen: list[Event]) -> None:
    expected = recompute([encode_event(one) for one in seen], SETTINGS)
    resolver = MemoryResolver(RULES, 1, clock=lambda: expected.now)
    asyncio.run(resolver.apply(batch(seen, rules=RULES)))
    found = {
        name: {state: [(one.since, one.value) for one in history] for state, history in view.states.items()}
        for name, view in resolver.world().entities.items()
    }
    assert found == {expected.ids[founder]: expected.histories(founder) for founder in expected.entities}
    documents = {key: resolver.world().entities[key] for key, _ in expected.entity_documents()}
    assert {key: entity_document(view) for key, view in documents.items()} == dict(expected.entity_documents())
