"""Portions: evidence cut into calls of bounded work, so that no event and no batch holds up the store.

Invariant: the portions together say exactly what the evidence says; since evidence is joined, saying a sighting
twice changes nothing. Neighbours: the resolve stage applies portion by portion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from resolvers.sighting import Evidence, Sighting

EVENTS = 100
"""Most events of one call: about ten milliseconds of Redis's time. Of fewer each costs the worker more; for more everybody else waits."""

WORK = 1_500
"""About the most units of one call: a sighting, an identifier, a membership each count one, and sixteen pairs of
identifiers that were seen together, which hubs are counted by."""


def work_of(evidence: Evidence) -> int:
    """Count the units of work in evidence."""
    units = len(evidence.memberships)
    for seen in evidence.sightings:
        units += _work_of_sighting(seen)
    return units


def _work_of_sighting(seen: Sighting) -> int:
    count = len(seen.identifiers)
    return 1 + count + count * count // 16


def portions(evidence: Sequence[Evidence], events: int = EVENTS, work: int = WORK) -> Iterator[list[tuple[int, Evidence]]]:
    """Cut evidence into calls; each part comes with the index of the evidence that it is part of."""
    portion: list[tuple[int, Evidence]] = []
    used = 0
    for index, whole in enumerate(evidence):
        for part, cost in _costed(whole, work):
            if portion and (len(portion) >= events or used + cost > work):
                yield portion
                portion, used = [], 0
            portion.append((index, part))
            used += cost
    if portion:
        yield portion


def _costed(evidence: Evidence, work: int) -> Iterable[tuple[Evidence, int]]:
    """Give the parts with what they cost; nearly every event's evidence is one."""
    cost = work_of(evidence)
    return ((evidence, cost),) if cost <= work else ((part, work_of(part)) for part in parts(evidence, work))


def parts(evidence: Evidence, work: int = WORK) -> Iterator[Evidence]:
    """Cut one event's evidence if it is more than one call's work.

    The sightings come first, then the memberships with the sightings that they join. A single sighting is never
    cut: its identifiers are one link.
    """
    if work_of(evidence) <= work:
        yield evidence
        return
    for first, end in _runs([_work_of_sighting(seen) for seen in evidence.sightings], work):
        yield replace(evidence, sightings=evidence.sightings[first:end], memberships=())
    costs = [1 + sum(_work_of_sighting(evidence.sightings[at]) for at in (one.member, one.group)) for one in evidence.memberships]
    for first, end in _runs(costs, work):
        yield _joined(evidence, first, end)


def _runs(costs: Sequence[int], work: int) -> Iterator[tuple[int, int]]:
    """Cut a row of costs into runs of at most `work`, each of at least one."""
    first, used = 0, 0
    for index, cost in enumerate(costs):
        if index > first and used + cost > work:
            yield first, index
            first, used = index, 0
        used += cost
    if first < len(costs):
        yield first, len(costs)


def _joined(evidence: Evidence, first: int, end: int) -> Evidence:
    memberships = evidence.memberships[first:end]
    needed = sorted({at for one in memberships for at in (one.member, one.group)})
    places = {at: place for place, at in enumerate(needed)}
    return replace(
        evidence,
        sightings=tuple(evidence.sightings[at] for at in needed),
        memberships=tuple(replace(one, member=places[one.member], group=places[one.group]) for one in memberships),
    )
