"""The resolver in memory: the specification that every other implementation must be indistinguishable from.

All that is kept is evidence: links and memberships, each a join (sets unite, first = min, last = max, trait = max).
Everything else, entities and their ids above all, is computed from that evidence anew, by the plainest means.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import msgspec

from resolvers.change import Change
from resolvers.correction import CorrectionBatch, in_force
from resolvers.entity import (
    ENDED,
    LISTED_IDENTIFIERS,
    EntityView,
    MembershipView,
    entity_document,
    erased_document,
    identifier_document,
    membership_document,
    merged_document,
    split_document,
)
from resolvers.erasure import Erasure
from resolvers.errors import Fenced, PositionGap, StoreLost
from resolvers.folds import Owners, World, id_of, identifiers_of, of_centre, owners_of, world_of
from resolvers.identifier import Identifier, founder_of, identifier_digest
from resolvers.instant import Clock, at_the_end
from resolvers.kept import Kept, event_of
from resolvers.link import MOST_LINKS, LinkPage, SeenLink
from resolvers.noted import Noted
from resolvers.port import Applied, Backlog, Ends, OutputRecord, Ready, Reread, Round, ToldRecord, Waiting
from resolvers.recovery import Recovery, Step
from resolvers.round_order import in_order
from resolvers.rules import Rules
from resolvers.shards import shard_of
from resolvers.sighting import Batch, Evidence, Position, Sighting
from resolvers.standing import Standing
from resolvers.state_changes import refusals, state_changes
from resolvers.timeline import changes, ended, joinings, membership_changes, partings, taken_over, timeline_record, untold
from resolvers.told import comparable, told_view

Views = dict[str, EntityView | MembershipView]
"""By key: an entity id, or `person id:group id`."""


class MemoryResolver:
    """One space, in memory. Forgets when the process ends."""

    def __init__(self, rules: Rules, shards: int = 6, listed: int = LISTED_IDENTIFIERS, clock: Clock = at_the_end) -> None:
        """Start empty. `shards` is the partition count of the output topics, `listed` what a document shows at most."""
        self._clock = clock
        self._rules = rules
        self._shards = shards
        self._listed = listed
        self._kept = Kept(rules)
        self._positions: dict[tuple[str, int], Position] = {}
        self._marks: dict[tuple[str, int], str] = {}
        self._issued: dict[str, str] = {}
        self._told: dict[tuple[str, str], dict[str, Any]] = {}
        self._told_views: Views = {}
        self._noted = Noted()
        self._rounds: dict[int, Round] = {}
        self._taken: dict[int, tuple[Any, ...]] = {}
        self._numbers: dict[int, int] = {}
        self._takers = 0
        self._recovery = Recovery()
        self._retold: dict[int, set[tuple[str, str]]] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def position(self, log: str, partition: int) -> Position:
        """Tell where the partition's applied evidence ends."""
        return self._positions.get((log, partition), Position())

    async def apply(self, batch: Batch) -> Applied:
        """Join a batch's evidence, sighting by sighting."""
        self._go_on(batch)
        for evidence in batch.evidence:
            self._join(evidence)
        owner = self._owners().owner
        return Applied(tuple(tuple(self._owner_of(seen, owner) for seen in self._kept.surviving(one)) for one in batch.evidence))

    def _owner_of(self, seen: Sighting | None, owner: dict[bytes, str]) -> str | None:
        return None if seen is None else of_centre(self._kept.links[seen.link], owner)

    async def correct(self, batch: CorrectionBatch) -> None:
        """Take a batch's corrections in, one by one."""
        self._go_on(batch)
        for one in batch.corrections:
            before, links = self._owners().owner, dict(self._kept.links)
            if isinstance(one, Erasure):
                self._kept.erase(one)
                gone = [links[name] for name in links if self._kept.links.get(name) != links[name]]
                self._noted.lessen({before[usable.digest] for link in gone for usable in link.identifiers if usable.digest in before})
            else:
                self._kept.correct(one)
            self._note(before, self._owners())

    def _go_on(self, batch: Batch | CorrectionBatch) -> None:
        """Move a position. Raises PositionGap."""
        place = (batch.log, batch.partition)
        expected, last = self._positions.get(place, Position()), self._marks.get(place, "")
        if not (batch.mark and batch.mark == last) and (batch.start != expected.offset or (batch.after and batch.after != last)):
            raise PositionGap(batch.partition, expected.offset, batch.start)
        self._positions[place], self._marks[place] = batch.end, batch.mark

    def _join(self, evidence: Evidence) -> None:
        self._kept.remember(evidence)
        found = self._kept.surviving(evidence)
        for seen in found:
            if seen is None:
                continue
            before = self._owners().owner
            link = self._kept.see(seen, event_of(evidence))
            after = self._owners()
            self._note(before, after, seen.link)
            if (owner := of_centre(link, after.owner)) is not None:
                self._issued[owner] = seen.entity_type
        self._kept.belong(evidence, found)

    def _note(self, before: dict[bytes, str], after: Owners, link: bytes = b"") -> None:
        """Remember for the timeline which ids ended, by the link of this name or by a command, and which ones were taken apart."""
        self._noted.changed(before, after.owner, link)
        self._noted.refused(after, self._kept.links.values())
        self._issued |= {entity_id: self._type_of(entity_id) for entity_id in set(before.values()) ^ set(after.owner.values())}

    def _owners(self) -> Owners:
        """Compute who is who from the evidence alone, and no more."""
        return owners_of(self._rules, self._kept.links, in_force(self._kept.corrections))

    def world(self) -> World:
        """Compute who is who, and everything that is known of them, from the evidence alone."""
        kept = self._kept
        return world_of(self._rules, kept.links, kept.memberships, self._listed, self._clock(), in_force(kept.corrections))

    def _documents(self, world: World) -> dict[tuple[str, str], dict[str, Any]]:
        """Write everything that the compacted topics should hold now."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for issued, entity_type in self._issued.items():
            if issued not in world.entities:
                found["entities", issued] = self._ended(issued, entity_type, world)
        for seen in identifiers_of(self._kept.links):
            if seen.digest in world.owner:
                found["identifiers", str(seen.identifier)] = identifier_document(seen, world.owner[seen.digest])
        found |= {("entities", view.entity_id): entity_document(view) for view in world.entities.values()}
        found |= {("memberships", f"{a}:{b}"): membership_document(view) for (a, b), view in world.memberships.items()}
        return found

    def _ended(self, entity_id: str, entity_type: str, world: World) -> dict[str, Any]:
        """Write what became of an id that no living entity has."""
        founder = founder_of(entity_id)
        if founder in world.owner:
            return merged_document(entity_id, entity_type, world.owner[founder])
        if _is_erased(entity_id, world):
            return erased_document(entity_id, entity_type)
        return split_document(entity_id, entity_type, world.successors[founder])

    def _shard(self, topic: str, key: str) -> int:
        if topic == "identifiers":
            entity_type, kind, value = key.split(":", 2)
            return shard_of(identifier_digest(self._rules.identity_key, Identifier(entity_type, kind, value)), self._shards)
        return shard_of(founder_of(key.partition(":")[0]), self._shards)

    def _behind(self, shard: int, told: int) -> bool:
        """Say whether Kafka has a later round than is known here, or has the one that was never kept."""
        number, round_ = self._numbers.get(shard, 0), self._rounds.get(shard)
        return number < told or (number == told and round_ is not None and round_.payload is None)

    async def pending(self, shard: int, told: int) -> Round | None:
        """Give the round in flight, or undo one that was taken and never kept."""
        if self._behind(shard, told):
            raise StoreLost(f"shard {shard}: Kafka has round {told}, here {self._numbers.get(shard, 0)} is the last")
        round_ = self._rounds.get(shard)
        if round_ is not None and round_.payload is None:
            del self._rounds[shard]
            return None
        if round_ is not None:
            round_ = self._rounds[shard] = replace(round_, taker=self._taker())
        return round_

    def _taker(self) -> str:
        self._takers += 1
        return str(self._takers)

    async def take(self, shard: int, limit: int, told: int) -> Round | Waiting | None:
        """Compose a round of what differs from what was told."""
        number = self._numbers.get(shard, 0) + 1
        if number <= told:
            raise StoreLost(f"shard {shard}: Kafka has round {told}, here {number - 1} is the last")
        if shard in self._rounds:
            raise Fenced(f"shard {shard}: round {self._rounds[shard].number} is in flight; another publisher has taken over")
        waiting = self._recovery.state(shard, lambda place: self._positions.get(place, Position()).offset)
        if waiting is not None:
            return waiting
        world = self.world()
        now, again = self._documents(world), self._retold.get(shard, set())
        dirty = [key for key in now.keys() | self._told.keys() | again if self._dirty(key, now, world) and self._shard(*key) == shard]
        if not dirty:
            return None
        chosen = sorted(dirty)[:limit]
        views: Views = {**world.entities, **{f"{person}:{group}": view for (person, group), view in world.memberships.items()}}
        records = [OutputRecord(topic, key, now.get((topic, key))) for topic, key in chosen]
        records += [line for topic, key in chosen for line in self._timeline(topic, key, now.get((topic, key)), views.get(key), world)]
        self._numbers[shard] = number
        self._rounds[shard] = Round(shard, number, in_order(records), recovery=bool(again), taker=self._taker())
        self._taken[shard] = (now, views, chosen)
        return self._rounds[shard]

    def _dirty(self, key: tuple[str, str], now: dict[tuple[str, str], dict[str, Any]], world: World) -> bool:
        if key[0] == "entities" and (key[1] in self._noted.refusals or self._corrected(world.entities.get(key[1]))):
            return True
        return any(key in keys for keys in self._retold.values()) or _differ(now.get(key), self._told.get(key))

    def _corrected(self, view: EntityView | None) -> bool:
        """Say whether an entity's states have another history than was told, also where its document says the same."""
        told = self._told_views.get(view.entity_id) if view else None
        if view is None or not isinstance(told, EntityView):
            return False
        return any(state_changes(told.states, view.states, whole=told.whole)) or any(refusals(told.refused, view.refused))

    async def recover(self, ends: Ends, shard: int | None = None, told: int = 0) -> bool:
        """Begin a recovery: of a store that was born again, since this one forgets nothing while it lives."""
        noticed = shard if shard is not None and self._behind(shard, told) else None
        if shard is not None and noticed is None:
            return False
        if noticed is not None:
            self._rounds.pop(noticed, None)
            self._numbers[noticed] = told
        return self._recovery.begin(Step.WAITING, self._shards, ends, noticed)

    async def hold(self, ends: Ends) -> None:
        """Hold publishing back."""
        self._recovery.begin(Step.HOLD, self._shards, ends)

    async def begin_reading(self, shard: int, reader: str) -> None:
        """Begin to read a shard's topics."""
        self._recovery.begin_reading(shard, reader)

    async def retell(self, shard: int, reader: str, calls: int, told: Sequence[ToldRecord]) -> None:
        """Take what topics hold as what was told last, and make it dirty unless that is what is known here."""
        self._recovery.called(shard, reader, calls)
        now, retold = self._documents(self.world()), self._retold.setdefault(shard, set())
        for record in told:
            key = (record.topic, record.key)
            self._told_views.pop(record.key, None)
            self._told.pop(key, None)
            if record.document is None:
                continue
            said = self._told[key] = {name: value for name, value in record.document.items() if name != "version"}
            same = comparable(self._rules, record) and not _differ(said, now.get(key))
            if same:
                self._noted.known(record.key)
            refused = said.get("status") == "active" and record.key in self._noted.refusals
            (retold.discard if same and not refused else retold.add)(key)
            if (view := told_view(self._rules, record)) is not None:
                self._told_views[record.key] = view

    async def end_reading(self, shard: int, reader: str, calls: int) -> None:
        """Let rounds go on."""
        self._recovery.end_reading(shard, reader, calls)

    def _timeline(
        self, topic: str, key: str, document: dict[str, Any] | None, view: EntityView | MembershipView | None, world: World
    ) -> Iterator[OutputRecord]:
        """Tell what changed of a key since it was told last."""
        before, noted, links = self._told_views.get(key), self._noted, self._kept.links
        entity_id = key.partition(":")[0]
        told: Iterable[Change] = ()
        if topic == "memberships":
            erased = any(_is_erased(one, world) for one in key.split(":"))
            told = membership_changes(cast("MembershipView | None", before), cast("MembershipView | None", view), erased=erased)
        elif isinstance(view, EntityView):
            old = cast("EntityView | None", before)
            merges = untold(old, noted.merges(key, links))
            told = [*changes(old, view, merges, erased=key in noted.lessened), *noted.refusals.get(key, ())]
            parts = {*noted.splits.get(key, ()), *(taken_over(old, world.owner) if self._retold.get(self._shard(topic, key)) else ())}
            told = [*partings(view, parts), *told]
        elif topic == "entities" and document:
            joined = () if document["status"] == "erased" else joinings(noted.merges(key, links))
            told = [*joined, ended(document, noted.ending(key, links))]
        for change in told:
            yield OutputRecord("timeline", entity_id, timeline_record(entity_id, self._type_of(entity_id), change))

    def _type_of(self, entity_id: str) -> str:
        return self._kept.types[founder_of(entity_id)]

    def _in_flight(self, round_: Round) -> bool:
        found = self._rounds.get(round_.shard)
        return found is not None and (found.number, found.taker) == (round_.number, round_.taker)

    async def keep(self, round_: Round, payload: bytes) -> None:
        """Store the bytes of a taken round."""
        shard = round_.shard
        if not self._in_flight(round_):
            raise Fenced(f"shard {shard}: round {round_.number} is not in flight")
        now, views, chosen = self._taken[shard]
        for topic, key in chosen:
            self._retold.get(shard, set()).discard((topic, key))
            if (topic, key) in now:
                self._told[topic, key] = now[topic, key]
            else:
                self._told.pop((topic, key), None)
            if topic != "identifiers":
                self._noted.told(key)
                self._told_views.pop(key, None)
                if key in views:
                    self._told_views[key] = views[key]
        self._rounds[shard] = replace(self._rounds[shard], payload=payload)

    async def finish(self, round_: Round) -> None:
        """End a round."""
        if self._in_flight(round_):
            del self._rounds[round_.shard]

    async def sweep(self, limit: int) -> int:  # noqa: ARG002 - the port's
        """Nothing to sweep: what is dirty is computed, never marked."""
        return 0

    async def settle(self) -> int:
        """Nothing to settle: guards are computed with everything else."""
        return 0

    async def rereads(self) -> tuple[Reread, ...]:
        """Nothing to read again: all evidence is kept."""
        return ()

    async def backlog(self) -> Backlog:
        """Count what differs from what was told."""
        world = self.world()
        now = self._documents(world)
        dirty = sum(self._dirty(key, now, world) for key in now.keys() | self._told.keys())
        return Backlog(dirty, len(self._rounds), 0, len(self._recovery.steps))

    async def ready(self, shards: Collection[int]) -> Ready:
        """Name every shard: what is dirty is computed, never marked."""
        return Ready(frozenset(shards))

    async def identifier(self, identifier: Identifier) -> dict[str, Any] | None:
        """Give an identifier's document."""
        return self._documents(self.world()).get(("identifiers", str(identifier)))

    async def entity(self, entity_id: str) -> dict[str, Any] | None:
        """Give an entity's document, or what became of an id that ended."""
        world = self.world()
        if entity_id in world.entities:
            return entity_document(world.entities[entity_id])
        try:
            founder = founder_of(entity_id)
        except ValueError:
            return None
        entity_type = self._kept.types.get(founder)
        if entity_type is None or id_of(self._rules, entity_type, founder) != entity_id:
            return None
        return self._ended(entity_id, entity_type, world)

    async def view(self, entity_id: str) -> EntityView | None:
        """Give a living entity."""
        return self.world().entities.get(entity_id)

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give some of the links that an identifier is on, in the order in which they came."""
        digest = self._kept.digest_of(identifier)
        on = [link for link in self._kept.links.values() if any(usable.digest == digest for usable in link.identifiers)]
        end = after + max(1, min(limit, MOST_LINKS))
        page = tuple(SeenLink(link.identifiers, link.first, link.last_hour) for link in on[after:end])
        return LinkPage(page, end if end < len(on) else 0)

    async def standing(self, identifier: Identifier) -> Standing:
        """Say whether it connects, and what was said of it."""
        return self._kept.standing(identifier)

    async def documents(self) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
        """Walk over every living document."""
        for (topic, key), document in self._documents(self.world()).items():
            if document.get("status") not in ENDED:
                yield topic, key, document


def _is_erased(entity_id: str, world: World) -> bool:
    founder = founder_of(entity_id)
    return founder not in world.owner and founder not in world.successors


def _differ(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Say whether two documents are written differently; to Python 1, 1.0 and True are equal."""
    return one is not other and msgspec.json.encode(one) != msgspec.json.encode(other)
