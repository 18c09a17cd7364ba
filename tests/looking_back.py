"""Looking back in tests: an event log that lies in a list, and what an entity was at a time, by the plainest means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, cast

import orjson

from resolvers.entity import Fact, traits_told
from resolvers.erasure import Cutoffs, Erasure, cutoffs_with
from resolvers.evidence import evidence_of
from resolvers.folds import Link, membership_of, of_centre
from resolvers.identifier import Identifier
from resolvers.instant import read_instant
from resolvers.kept import Kept, event_of
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.rules import Rules
from streams.events import Event
from streams.past import Asked, as_of
from tests.histories import Documents, documents


class ListLog:
    """A log of events and erasures."""

    def __init__(self, events: Sequence[Event], erasures: Iterable[Erasure] = (), begins: int | None = None) -> None:
        self._events = events
        self._cutoffs: Cutoffs = {}
        self.begins = begins
        for one in erasures:
            self._cutoffs = cutoffs_with(self._cutoffs, one)

    async def cutoffs(self) -> Cutoffs:
        return self._cutoffs

    async def events(self, since_ms: int) -> AsyncIterator[Event]:
        for event in self._events:
            if read_instant(event.occurred_at) >= since_ms:
                yield event


class Still:
    """A resolver to which nothing more comes: it is asked each thing once."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._known: dict[tuple[object, ...], Any] = {}
        self._documents: Documents | None = None

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def asked(*words: Any, **more: Any) -> Any:
            question = (name, *words, *more.items())
            if question not in self._known:
                self._known[question] = await getattr(self._resolver, name)(*words, **more)
            return self._known[question]

        return asked

    async def identifier(self, identifier: Identifier) -> dict[str, Any] | None:
        if self._documents is None:
            self._documents = await documents(self._resolver)
        return self._documents.get(("identifiers", str(identifier)))


def still(resolver: Resolver) -> Resolver:
    """Give what answers as a resolver to which nothing more comes."""
    return cast("Resolver", Still(resolver))


async def look_back(
    resolver: Resolver, rules: Rules, entity_id: str, at_ms: int, events: Sequence[Event], erasures: Iterable[Erasure] = ()
) -> dict[str, Any]:
    """Ask what an id was at a time, as the command line does."""
    return await as_of(Asked(rules, resolver, ListLog(events, erasures), entity_id, at_ms))


class Recomputed:
    """What the events up to a time say of every entity that there is today: all of the evidence until then, folded by the specification."""

    def __init__(self, today: MemoryResolver, rules: Rules, at_ms: int, events: Iterable[Event], erasures: Iterable[Erasure] = ()) -> None:
        world = today.world()
        kept = evidence_until(rules, at_ms, events, erasures)
        links = [(of_centre(link, world.owner), link) for link in kept.links.values()]
        self.traits = {name: _traits(link for owner, link in links if owner == name) for name in world.entities}
        pairs: dict[tuple[str, str], set[tuple[Fact, bool]]] = {}
        for (member, group), sightings in kept.memberships.items():
            who, what = (of_centre(kept.links[side], world.owner) for side in (member, group))
            if who and what:
                pairs.setdefault((who, what), set()).update(sightings)
        views = {pair: membership_of(pair, sightings) for pair, sightings in pairs.items()}
        self.roles = {pair: view.latest.value.decode() or None for pair, view in views.items() if not view.ended}

    def groups(self, entity_id: str) -> list[dict[str, Any]]:
        """Give the groups that somebody belonged to."""
        return [{"group_id": group, "role": role} for (member, group), role in sorted(self.roles.items()) if member == entity_id]

    def members(self, entity_id: str) -> list[dict[str, Any]]:
        """Give the members of a group."""
        return [{"person_id": member, "role": role} for (member, group), role in sorted(self.roles.items()) if group == entity_id]


def evidence_until(rules: Rules, at_ms: int, events: Iterable[Event], erasures: Iterable[Erasure]) -> Kept:
    """Join the events up to a time that no erasure covers."""
    kept = Kept(rules)
    for erasure in erasures:
        kept.erase(erasure)
    for one in (evidence_of(rules, event) for event in events):
        found = kept.surviving(one)
        if one.occurred_at <= at_ms:
            for seen in found:
                if seen is not None:
                    kept.see(seen, event_of(one))
            kept.belong(one, found)
    return kept


def _traits(links: Iterable[Link]) -> dict[str, Any]:
    facts: dict[str, Fact] = {}
    for link in links:
        facts |= {trait: max(facts.get(trait, fact), fact) for trait, fact in link.traits.items()}
    return {trait: orjson.loads(value) for trait, value in traits_told(facts).items()}
