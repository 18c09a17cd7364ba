"""Corrections: whatever came late is named by what it corrected, and what was known before never is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resolvers.change import NOBODY, Change
from resolvers.entity import EntityView, Fact, SeenIdentifier
from resolvers.folds import with_states
from resolvers.identifier import Identifier
from resolvers.instant import read_instant
from resolvers.rules import Rules
from resolvers.state_changes import state_changes
from resolvers.states import Observation
from streams.settings import EntitySettings, IdentifierSettings, StateSettings
from tests.histories import KEY

FIRST, NOW = 0, 100
SEEN = SeenIdentifier(Identifier("person", "email", "a@b.example"), b"1" * 16, FIRST, 0, Fact(FIRST, "s", "first"))
DECLARED = [
    StateSettings.model_validate(one)
    for one in (
        {"name": "app_use", "entity": "person", "values": ["a", "b", "c"], "lapses": [{"value": "a", "becomes": "b", "after": "1s"}]},
        {"name": "app_plan", "entity": "person", "initial": "c", "values": ["a", "c"]},
        {
            "name": "app_stage",
            "entity": "person",
            "initial": "none",
            "derived": {
                "components": {"use": {"state": "app_use", "when": "value == 'a'"}, "plan": "app_plan"},
                "value": "use && plan || null",
            },
        },
    )
]
RULES = Rules.from_settings({"person": EntitySettings(identifiers={"email": IdentifierSettings()})}, KEY, DECLARED)


@st.composite
def observed(draw: st.DrawFn) -> set[Observation]:
    """Draw observations, each of an event of its own, so that an event tells whether it was known; no two at one time."""
    times = draw(st.lists(st.integers(0, 12), max_size=8, unique=True))
    return {
        (draw(st.sampled_from(["app_use", "app_plan"])), at * 500, "s", f"e{at}", 0, draw(st.sampled_from(["a", "b", "c", "wrong"])))
        for at in times
    }


def told(known: set[Observation], now: set[Observation]) -> list[Change]:
    """Give what is told of an entity of which these observations were known when others are, or some are not any more."""
    empty = EntityView("per_a", "person", FIRST, 0, (SEEN,), 1)
    before, after = (with_states(empty, RULES, each, NOW * 1_000) for each in (known, now))
    return list(state_changes(before.states, after.states, late=after.late, founding=after.founder.event))


@given(observed(), st.data())
def test_a_correction_names_an_event_that_came_since(every: set[Observation], data: st.DataObject) -> None:
    late = {one for one in sorted(every) if data.draw(st.booleans())}
    events = {Fact(at, source, event_id) for _, at, source, event_id, _, value in late if value != "wrong"}
    for change in told(every - late, every):
        if change.kind == "state.corrected":
            assert change.event in events
            last = max(interval["since"] for side in ("old", "new") for interval in change.data[side])
            assert change.event.occurred_at <= read_instant(last)


@given(observed(), st.data())
def test_what_evidence_that_went_corrects_names_none(every: set[Observation], data: st.DataObject) -> None:
    gone = {one for one in sorted(every) if data.draw(st.booleans())}
    assert {change.event for change in told(every, every - gone) if change.kind == "state.corrected"} <= {NOBODY}
