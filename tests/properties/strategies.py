"""Events for properties: few values, so that they meet often, and every kind of oddity that an event can carry."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from resolvers.instant import write_instant
from streams.events import Event, Identifier, Membership, Participant

START_MS = 1_700_000_000_000
STEP_MS = 1_900_000
"""A little more than half an hour, so that some events share the hour of their last times and some do not."""

_LONG = "é" * 40

user_ids = st.integers(0, 5).map(lambda n: Identifier("user_id", f"u{n}"))
emails = st.sampled_from([f"{name}@x.example" for name in ("ann", "ANN", " bob", "cy", "shared", f"{_LONG}")]).map(
    lambda v: Identifier("email", v)
)
devices = st.integers(0, 6).map(lambda n: Identifier("device", f"d{n}"))
junk = st.sampled_from([Identifier("email", "shared@office.example"), Identifier("device", "N/A"), Identifier("shoe_size", "43")])
domains = st.sampled_from(["a.example", "https://www.A.example/x", "b.example", "c.example"]).map(lambda v: Identifier("domain", v))
shops = st.integers(0, 3).map(lambda n: Identifier("shop", f"s{n}"))

trait_values: st.SearchStrategy[Any] = st.sampled_from(["a", "b", "", 1, 1.0, True, None, [], {}, {"z": 1, "a": [2]}, 2**70, 1e300])
traits = st.dictionaries(st.sampled_from(["name", "plan", "1"]), trait_values, max_size=2)
states = st.dictionaries(st.sampled_from(["life", "plan"]), st.sampled_from(["on", "off"]), max_size=1)
roles = st.sampled_from([None, "", "owner", "admin"])

persons = st.builds(
    Participant, st.just("person"), st.just("r"), st.lists(user_ids | emails | devices | junk, max_size=3), traits=traits, states=states
)
groups = st.builds(Participant, st.just("group"), st.just("r"), st.lists(domains | shops, max_size=2), traits=traits)
memberships = st.builds(Membership, st.integers(0, 2), st.integers(0, 2), roles, st.booleans())

events = st.builds(
    Event,
    st.integers(0, 12).map(lambda n: f"e{n}"),
    st.sampled_from(["crm", "web"]),
    st.just("seen"),
    st.integers(0, 7).map(lambda n: write_instant(START_MS + n * STEP_MS)),
    participants=st.tuples(persons, groups, persons).map(list),
    memberships=st.lists(memberships, max_size=2),
)
"""Event ids repeat with other contents, which no source should do and no answer may depend on the order of."""
