"""States: the verification's own computation of histories, and the specification's, say the same of any set of events."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from resolvers.memory import MemoryResolver
from resolvers.rules import Rules
from streams.events import Event, encode_event
from streams.settings import EntitySettings, IdentifierSettings, Settings
from streams.verify.recompute import recompute
from tests.histories import batch
from tests.properties.depth import depth
from tests.properties.strategies import events
from tests.properties.test_guards_in_order import STATES

SETTINGS = Settings(
    entities={
        "person": EntitySettings(
            identifiers={"user_id": IdentifierSettings(), "email": IdentifierSettings(), "device": IdentifierSettings()}
        ),
        "group": EntitySettings(identifiers={"domain": IdentifierSettings(), "shop": IdentifierSettings()}),
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
