from __future__ import annotations

from collections.abc import Callable

import pytest

from streams.settings import Settings
from streams.verify.compare_redis import FORMAT, compare_frame, compare_redis
from streams.verify.dump import Dump
from streams.verify.expected import Expected
from streams.verify.recompute import recompute
from tests.unit.verify.pipeline import event, group, person
from tests.unit.verify.right import right_dump
from tests.unit.verify.story import SETTINGS, story

ANN, OLD, NEW, BOB = "person:user_id:ann", "person:email:ann@old.example", "person:email:ann@new.example", "person:email:bob@new.example"
COMPANY = "group:domain:new.example"


class Spoilt:
    """A dump that was right, with the places of the story in it."""

    def __init__(self) -> None:
        self.expected: Expected = story()
        self.dump: Dump = right_dump(self.expected)

    def node(self, key: str) -> int:
        return next(number for number, name in enumerate(self.expected.identifiers, start=1) if name.key == key)

    def digest(self, key: str) -> bytes:
        return self.expected.identifiers[self.node(key) - 1].digest

    def root(self, key: str) -> int:
        return self.expected.seen[self.node(key) - 1].founder + 1

    def change_node(self, key: str, **fields: object) -> None:
        node = self.node(key)
        self.dump.nodes[node] = self.dump.nodes[node]._replace(**fields)  # type: ignore[arg-type]

    def change_part(self, key: str, **fields: object) -> None:
        self.dump.parts[self.root(key)] = self.dump.parts[self.root(key)]._replace(**fields)  # type: ignore[arg-type]

    def change_link(self, number: int, **fields: object) -> None:
        self.dump.links[number] = self.dump.links[number]._replace(**fields)  # type: ignore[arg-type]

    def kinds(self) -> set[str]:
        return {one.kind for one in compare_redis(self.expected, self.dump)}


def wrong_entity(spoilt: Spoilt) -> None:
    spoilt.change_node(NEW, parent=spoilt.root(BOB))


def torn_off(spoilt: Spoilt) -> None:
    spoilt.change_node(NEW, parent=spoilt.node(NEW))


def parents_in_a_circle(spoilt: Spoilt) -> None:
    loose = next(key for key in (ANN, OLD) if spoilt.node(key) != spoilt.root(key))
    spoilt.change_node(NEW, parent=spoilt.node(loose))
    spoilt.change_node(loose, parent=spoilt.node(NEW))


def circle_leaves_one_out(spoilt: Spoilt) -> None:
    spoilt.change_node(ANN, next=spoilt.node(ANN))


def wrong_founder(spoilt: Spoilt) -> None:
    spoilt.change_part(ANN, founder=spoilt.node(NEW))


def last_seen_off(spoilt: Spoilt) -> None:
    spoilt.change_node(ANN, last=spoilt.dump.nodes[spoilt.node(ANN)].last + 1)


def first_seen_off(spoilt: Spoilt) -> None:
    spoilt.change_node(ANN, first=spoilt.dump.nodes[spoilt.node(ANN)].first + 1)


def entity_last_seen_off(spoilt: Spoilt) -> None:
    spoilt.change_part(ANN, last=0)


def entity_first_seen_off(spoilt: Spoilt) -> None:
    spoilt.change_part(ANN, first=0)


def lost_identifier(spoilt: Spoilt) -> None:
    del spoilt.dump.node_of[spoilt.digest(BOB)]


def ghost_identifier(spoilt: Spoilt) -> None:
    spoilt.dump.node_of[b"g" * 16] = spoilt.node(BOB)


def stale_trait(spoilt: Spoilt) -> None:
    (moment, _) = spoilt.dump.traits[spoilt.root(ANN)]["name"]
    spoilt.dump.traits[spoilt.root(ANN)]["name"] = moment, b'"Ann"'


def lost_link_trait(spoilt: Spoilt) -> None:
    number = next(number for number, link in spoilt.dump.links.items() if link.traits)
    spoilt.change_link(number, traits={})


def lost_link(spoilt: Spoilt) -> None:
    spoilt.dump.link_of.popitem()


def link_seen_later(spoilt: Spoilt) -> None:
    spoilt.change_link(1, event_id="e0")


def broken_chain(spoilt: Spoilt) -> None:
    spoilt.change_node(ANN, head=0)


def wrong_count(spoilt: Spoilt) -> None:
    spoilt.change_part(ANN, size=2)


def wrong_counts(spoilt: Spoilt) -> None:
    spoilt.change_part(ANN, counts={1: 3})


def not_listed(spoilt: Spoilt) -> None:
    spoilt.change_part(ANN, listed=[spoilt.node(ANN)])


def listed_twice(spoilt: Spoilt) -> None:
    spoilt.change_part(BOB, listed=[spoilt.node(BOB)] * 2)


def lost_part(spoilt: Spoilt) -> None:
    del spoilt.dump.parts[spoilt.root(BOB)]


def ghost_part(spoilt: Spoilt) -> None:
    spoilt.dump.parts[99] = spoilt.dump.parts[spoilt.root(BOB)]


def lost_belonging(spoilt: Spoilt) -> None:
    spoilt.dump.pairs.popitem()


def membership_that_its_link_does_not_list(spoilt: Spoilt) -> None:
    link, heads = spoilt.dump.heads.popitem()
    spoilt.dump.heads[link] = heads._replace(groups=(0, 0), members=(0, 0))


def memberships_of_an_identifier_that_is_not_marked(spoilt: Spoilt) -> None:
    spoilt.change_node(COMPANY, flags=0)


def miscounted_membership(spoilt: Spoilt) -> None:
    place, fold = spoilt.dump.folds.popitem()
    spoilt.dump.folds[place] = fold._replace(pairs=fold.pairs + 1)


def off_though_it_connects(spoilt: Spoilt) -> None:
    spoilt.change_node(NEW, flags=2 + 4)


def in_a_case_that_does_not_list_it(spoilt: Spoilt) -> None:
    spoilt.change_part(BOB, case=3)


def hidden_still(spoilt: Spoilt) -> None:
    spoilt.change_part(BOB, flags=1)


def apart_and_in_no_case(spoilt: Spoilt) -> None:
    spoilt.change_node(NEW, parent=spoilt.node(NEW))
    spoilt.dump.parts[spoilt.node(NEW)] = spoilt.dump.parts[spoilt.root(BOB)]


def lost_membership(spoilt: Spoilt) -> None:
    spoilt.dump.folds.popitem()


def ghost_membership(spoilt: Spoilt) -> None:
    spoilt.dump.folds[spoilt.digest(OLD), spoilt.digest(COMPANY)] = next(iter(spoilt.dump.folds.values()))


def stale_membership(spoilt: Spoilt) -> None:
    place, fold = spoilt.dump.folds.popitem()
    spoilt.dump.folds[place] = fold._replace(ended=True)


def begun_too_late(spoilt: Spoilt) -> None:
    place, fold = spoilt.dump.folds.popitem()
    (at, source, event_id), role = fold.latest
    spoilt.dump.folds[place] = fold._replace(begun=((at + 1, source, event_id), role))


def told_under_another(spoilt: Spoilt) -> None:
    place, pair = spoilt.dump.pairs.popitem()
    spoilt.dump.pairs[place] = pair._replace(told=(spoilt.digest(OLD), spoilt.digest(COMPANY)[::-1]))


def forgotten_meeting(spoilt: Spoilt) -> None:
    spoilt.dump.together.popitem()


def left_in_the_outbox(spoilt: Spoilt) -> None:
    spoilt.dump.outbox["dirty"] = 1


def under_a_strange_key(spoilt: Spoilt) -> None:
    spoilt.dump.read("zz", "1", {})


CASES: dict[Callable[[Spoilt], None], str] = {
    wrong_entity: "redis.entity.mixed",
    torn_off: "redis.entity.apart",
    parents_in_a_circle: "redis.parent",
    circle_leaves_one_out: "redis.circle",
    wrong_founder: "redis.founder",
    last_seen_off: "redis.last_seen",
    first_seen_off: "redis.first_seen",
    entity_last_seen_off: "redis.entity.last_seen",
    entity_first_seen_off: "redis.entity.first_seen",
    lost_identifier: "redis.identifier.missing",
    ghost_identifier: "redis.identifier.ghost",
    stale_trait: "redis.trait",
    lost_link_trait: "redis.link.traits",
    lost_link: "redis.link.missing",
    link_seen_later: "redis.link.first",
    broken_chain: "redis.links_of",
    wrong_count: "redis.part.count",
    wrong_counts: "redis.part.counts",
    not_listed: "redis.part.listed",
    listed_twice: "redis.part.listed",
    lost_part: "redis.part.missing",
    ghost_part: "redis.part.ghost",
    lost_belonging: "redis.belonging.missing",
    membership_that_its_link_does_not_list: "redis.belonging.list",
    memberships_of_an_identifier_that_is_not_marked: "redis.belonging.flag",
    miscounted_membership: "redis.membership.pairs",
    off_though_it_connects: "redis.identifier.connects",
    in_a_case_that_does_not_list_it: "redis.case",
    hidden_still: "redis.part.unsettled",
    apart_and_in_no_case: "redis.case",
    lost_membership: "redis.membership.missing",
    ghost_membership: "redis.membership.ghost",
    stale_membership: "redis.membership.ended",
    begun_too_late: "redis.membership.begun",
    told_under_another: "redis.belonging.told",
    forgotten_meeting: "redis.seen_with",
    left_in_the_outbox: "redis.outbox",
    under_a_strange_key: "redis.misplaced",
}


def test_a_right_redis_has_no_differences() -> None:
    assert Spoilt().kinds() == set()


@pytest.mark.parametrize(("spoil", "kind"), CASES.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_one_spoilt_record_is_named(spoil: Callable[[Spoilt], None], kind: str) -> None:
    spoilt = Spoilt()
    spoil(spoilt)
    assert kind in spoilt.kinds()


def test_an_identifier_in_the_wrong_entity_is_named_with_the_entity_that_it_belongs_to() -> None:
    spoilt = Spoilt()
    wrong_entity(spoilt)
    [mixed] = [one for one in compare_redis(spoilt.expected, spoilt.dump) if one.kind == "redis.entity.apart"]
    assert mixed.subject == spoilt.expected.ids[spoilt.root(ANN) - 1]
    assert mixed.text == f"{NEW} should belong to it, but lies apart in Redis"


def test_a_lost_state_is_named() -> None:
    seen = person("user_id:ann") | {"states": {"subscription": "active"}}
    expected = recompute([event(1, "2024-01-01T00:00:00Z", seen, group("domain:x.example"))], SETTINGS)
    dump = right_dump(expected)
    assert compare_redis(expected, dump) == []
    dump.states.clear()
    assert [one.kind for one in compare_redis(expected, dump)] == ["redis.link.states"]


def test_a_position_lies_after_the_last_record_and_not_after_the_end() -> None:
    dump = Dump(positions={"events/0": 5, "events/1": 6, "events/2": 9, "events/3": 4})
    applied = {0: (5, 5), 1: (5, 6), 2: (8, 8), 3: (5, 6), 4: (0, 0)}
    wrong = [one.subject for one in compare_frame(dump, SETTINGS, applied) if one.kind == "redis.position"]
    assert wrong == ["events/2", "events/3"]


def test_a_space_made_with_other_settings_is_named() -> None:
    meta = {"format": FORMAT, "buckets": "4096", "shards": "6", "identity_key": recompute([], Settings()).usable.digest("", "", "").hex()}
    assert list(compare_frame(Dump(meta=meta), Settings(), {})) == []
    other = Settings(identity_key="another key", partitions=3)
    assert [one.subject for one in compare_frame(Dump(meta=meta), other, {})] == ["shards", "identity_key"]
