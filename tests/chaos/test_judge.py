"""The judge notices: what is right is silent, and each thing that is damaged is named."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

import pytest

from streams.verify import Difference
from tests.chaos.judge import MOST_LINES, check, lines
from tests.chaos.judge_accounts import check_accounts
from tests.chaos.judge_positions import check_open
from tests.chaos.judge_read import Line
from tests.chaos.judge_timeline import Merges
from tests.chaos.right_case import NAMES, ROUND, SETTINGS, Case, shard_of, written


def without(lines_of: Sequence[Line], one: Line) -> list[Line]:
    return [line for line in lines_of if line is not one]


def a_sent_record_is_nowhere(case: Case) -> None:
    case.sent.append(b'{"id": "lost"}')


def a_record_that_nobody_sent(case: Case) -> None:
    value = case.good().value
    case.sent = [one for one in case.sent if one != value]


def an_event_is_missing(case: Case) -> None:
    case.topics["events"] = without(case.topics["events"], case.topics["events"][0])


def a_dead_letter_is_missing(case: Case) -> None:
    case.topics["dead-letters"] = without(case.topics["dead-letters"], case.topics["dead-letters"][0])


def an_event_from_nowhere(case: Case) -> None:
    case.put("events", None, case.event(event_id="nobody's", origin=None))


def an_event_says_something_else(case: Case) -> None:
    case.put("events", None, case.event(participants=[]))


def an_event_of_a_bad_record(case: Case) -> None:
    bad = case.bad()
    case.put("events", None, case.event(origin={"topic": NAMES["raw"], "partition": bad.partition, "offset": bad.offset}))


def a_good_record_is_a_dead_letter(case: Case) -> None:
    case.letter("raw", case.good())


def a_good_event_is_a_dead_letter(case: Case) -> None:
    case.letter("events", case.topics["events"][0])


def a_dead_letter_of_other_bytes(case: Case) -> None:
    case.letter("raw", case.topics["raw"][0]._replace(value=b"{"))


def a_dead_letter_of_another_key(case: Case) -> None:
    case.letter("raw", case.topics["raw"][0]._replace(key=b"k"))


def a_dead_letter_without_a_reason(case: Case) -> None:
    case.letter("raw", case.bad(), error="")


def a_dead_letter_of_no_record(case: Case) -> None:
    case.letter("events", Line(0, 9_999, None, b"{"))


def junk_in_the_event_log_is_not_answered(case: Case) -> None:
    case.put("events", None, b"{")


def a_command_is_not_answered(case: Case) -> None:
    case.put("commands", b"k", b"{}")


def redis_is_beyond_the_log(case: Case) -> None:
    case.positions["events", 0] = case.ends["events", 0] + 1, case.positions["events", 0][1]


def redis_is_of_another_log(case: Case) -> None:
    case.positions["events", 1] = case.positions["events", 1][0], 1


def kafka_is_ahead_of_redis(case: Case) -> None:
    case.positions["events", 0] = 1, crc32(case.of("events", 0)[0].value or b"")


def adapt_is_beyond_the_log(case: Case) -> None:
    case.committed["adapt", 0] += 1


def redis_knows_fewer_rounds(case: Case) -> None:
    case.rounds[1] = ROUND - 1


def a_version_of_a_round_that_was_not_committed(case: Case) -> None:
    case.committed["rounds", 0] = ROUND - 1


def a_version_that_falls(case: Case) -> None:
    line = case.topics["entities"][0]
    document = json.loads(line.value or b"{}")
    case.put("entities", line.key, written(document | {"version": ROUND - 1}), line.partition)


def a_round_of_somebody_who_was_replaced(case: Case) -> None:
    case.put("memberships", b"x", written({"version": ROUND - 1}), case.topics["memberships"][0].partition)


def a_key_in_the_partition_of_another_writer(case: Case) -> None:
    line = case.topics["identifiers"][0]
    case.put("identifiers", line.key, None, 1 - line.partition)


def a_key_that_is_none(case: Case) -> None:
    case.put("entities", b"per_short", None)


def a_recovery_without_a_loss(case: Case) -> None:
    key, data = case.told("identifier.added")
    case.tell(key, "identifier.added", recovery=True, **data)


def told_to_be_created_twice(case: Case) -> None:
    case.tell(case.living[0], "entity.created")


def told_to_be_added_twice(case: Case) -> None:
    key, data = case.told("identifier.added")
    case.tell(key, "identifier.added", **data)


def told_to_be_removed_and_was_not_there(case: Case) -> None:
    case.tell(case.living[0], "identifier.removed", type="email", value="nobody@x.example")


def a_trait_changed_from_what_it_was_not(case: Case) -> None:
    key, data = case.told("trait.changed")
    case.tell(key, "trait.changed", **{**data, "old": "something else"})


def a_value_that_is_told_to_have_come_twice(case: Case) -> None:
    key, _ = case.told("trait.changed")
    for _ in range(2):
        case.tell(key, "trait.changed", trait="tags", added=["new"], removed=[])


def a_value_that_is_told_to_have_gone_and_was_not_there(case: Case) -> None:
    key, _ = case.told("trait.changed")
    case.tell(key, "trait.changed", trait="tags", added=["new"], removed=["never told"])


def a_trait_changed_to_what_it_is(case: Case) -> None:
    key, data = case.told("trait.changed")
    case.tell(key, "trait.changed", **{**data, "old": data["new"]})


def a_membership_started_twice(case: Case) -> None:
    key, data = case.told("membership.started")
    case.tell(key, "membership.started", **data)


def a_membership_ended_that_was_none(case: Case) -> None:
    case.tell(case.living[0], "membership.ended", group_id="grp_nobody", role=None)


def a_role_changed_to_what_it_is(case: Case) -> None:
    key, data = case.told("membership.started")
    case.tell(key, "membership.changed", group_id=data["group_id"], role=data["role"], old_role=data["role"])


def an_absorbed_id_is_told_twice(case: Case) -> None:
    for _ in range(2):
        case.tell(case.living[0], "entity.merged", absorbed_id=case.living[1], link=[])


def an_end_is_told_twice(case: Case) -> None:
    for version in (ROUND, ROUND + 1):
        case.tell(case.living[0], "entity.merged", version, merged_into=case.living[1])


def the_dead_tell_tales(case: Case) -> None:
    case.tell(case.living[0], "entity.merged", merged_into=case.living[1])
    case.tell(case.living[0], "trait.changed", trait="never told", old=None, new="x")


def an_end_that_its_document_does_not_know(case: Case) -> None:
    case.tell(case.living[0], "entity.merged", merged_into=case.living[1])


def an_end_elsewhere(case: Case) -> None:
    key = case.living[0]
    case.tell(key, "entity.merged", merged_into=case.living[1])
    document = {"entity_id": key, "status": "merged", "merged_into": case.living[2], "version": ROUND}
    case.put("entities", key.encode(), written(document), shard_of(key))


def a_life_without_a_document(case: Case) -> None:
    case.topics["entities"] = without(case.topics["entities"], case.topics["entities"][0])


def a_document_without_a_life(case: Case) -> None:
    key = (case.topics["entities"][0].key or b"").decode()
    case.topics["timeline"] = [line for line in case.topics["timeline"] if line.key != key.encode()]


def a_kind_that_does_not_happen(case: Case) -> None:
    case.tell(case.living[0], "entity.admired")


CASES: dict[Callable[[Case], None], set[str]] = {
    a_sent_record_is_nowhere: {"records.lost"},
    a_record_that_nobody_sent: {"records.nowhere", "events.nowhere"},
    an_event_is_missing: {"records.dropped"},
    a_dead_letter_is_missing: {"records.dropped"},
    an_event_from_nowhere: {"events.nowhere"},
    an_event_says_something_else: {"events.altered"},
    an_event_of_a_bad_record: {"events.altered"},
    a_good_record_is_a_dead_letter: {"letters.of_good"},
    a_good_event_is_a_dead_letter: {"letters.of_good"},
    a_dead_letter_of_other_bytes: {"letters.altered", "letters.nowhere"},
    a_dead_letter_of_another_key: {"letters.altered"},
    a_dead_letter_without_a_reason: {"letters.reason"},
    a_dead_letter_of_no_record: {"letters.nowhere"},
    junk_in_the_event_log_is_not_answered: {"events.nowhere"},
    a_command_is_not_answered: {"commands.dropped"},
    redis_is_beyond_the_log: {"position.beyond"},
    redis_is_of_another_log: {"position.checksum"},
    kafka_is_ahead_of_redis: {"position.committed"},
    adapt_is_beyond_the_log: {"position.beyond"},
    redis_knows_fewer_rounds: {"rounds.redis"},
    a_version_of_a_round_that_was_not_committed: {"rounds.committed"},
    a_version_that_falls: {"rounds.order"},
    a_round_of_somebody_who_was_replaced: {"rounds.order", "outputs.key"},
    a_key_in_the_partition_of_another_writer: {"outputs.partition"},
    a_key_that_is_none: {"outputs.key"},
    a_recovery_without_a_loss: {"timeline.recovery"},
    told_to_be_created_twice: {"timeline.created_again"},
    told_to_be_added_twice: {"timeline.added_again"},
    told_to_be_removed_and_was_not_there: {"timeline.removed_again"},
    a_trait_changed_from_what_it_was_not: {"timeline.trait_old"},
    a_trait_changed_to_what_it_is: {"timeline.trait_again"},
    a_value_that_is_told_to_have_come_twice: {"timeline.trait_again"},
    a_value_that_is_told_to_have_gone_and_was_not_there: {"timeline.trait_old"},
    a_membership_started_twice: {"timeline.started_again"},
    a_membership_ended_that_was_none: {"timeline.membership_off"},
    a_role_changed_to_what_it_is: {"timeline.role_again"},
    an_absorbed_id_is_told_twice: {"timeline.merged_again"},
    an_end_is_told_twice: {"timeline.merged_again", "timeline.ending", "rounds.committed"},
    the_dead_tell_tales: {"timeline.not_living", "timeline.ending"},
    an_end_that_its_document_does_not_know: {"timeline.ending"},
    an_end_elsewhere: {"timeline.ending"},
    a_life_without_a_document: {"timeline.ghost"},
    a_document_without_a_life: {"timeline.missing"},
    a_kind_that_does_not_happen: {"timeline.unknown"},
}


def test_what_is_right_is_silent() -> None:
    case = Case()
    assert case.kinds() == set()
    assert len(case.living) > 10
    assert {"membership.started", "trait.changed"} <= {json.loads(line.value or b"")["kind"] for line in case.topics["timeline"]}
    assert case.topics["dead-letters"]


@pytest.mark.parametrize(("damage", "kinds"), CASES.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_one_damage_is_named(damage: Callable[[Case], None], kinds: set[str]) -> None:
    case = Case()
    damage(case)
    assert case.kinds() == kinds


def test_repeats_in_the_logs_are_right() -> None:
    case = Case()
    for word in ("events", "dead-letters"):
        case.topics[word] += [line._replace(offset=line.offset + 1_000) for line in case.topics[word]]
    assert case.kinds() == set()


def test_junk_that_was_answered_is_right() -> None:
    case = Case()
    for word, value in (("events", b"{"), ("events", None), ("commands", b"null")):
        case.put(word, b"k", value)
        case.letter(word, case.of(word, 0)[-1])
    assert case.kinds() == set()


def test_a_record_that_was_never_acknowledged_may_have_arrived_or_not() -> None:
    case = Case()
    arrived = case.good().value or b""
    sent = [value for value in case.sent if value != arrived]
    assert list(check_accounts(case.seen(), sent, NAMES, [arrived, b"nowhere"])) == []


def test_after_a_loss_changes_may_be_told_again_when_they_are_marked() -> None:
    case = Case()
    for kind in ("identifier.added", "trait.changed", "membership.started"):
        key, data = case.told(kind)
        case.tell(key, kind, recovery=True, **data)
    assert case.kinds(redis_lost_writes=True) == set()
    told_to_be_added_twice(case)
    assert case.kinds(redis_lost_writes=True) == {"timeline.added_again"}


def test_an_id_that_ended_may_live_again() -> None:
    case = Case()
    key = case.living[0]
    case.tell(key, "entity.merged", merged_into=case.living[1])
    case.tell(key, "entity.created")
    assert case.kinds() == set()


def test_a_founder_that_went_to_and_fro_may_be_absorbed_twice() -> None:
    case = Case()
    one, other = case.living[:2]
    case.tell(one, "entity.merged", absorbed_id=other, link=[])
    case.tell(other, "entity.merged", absorbed_id=one, link=[])
    case.tell(one, "entity.merged", absorbed_id=other, link=[])
    assert case.kinds() == set()


@pytest.mark.parametrize(("told_to_live", "wrong"), [(True, []), (False, ["timeline.merged_again"])])
def test_an_id_that_a_recovery_told_to_live_may_end_once_more(told_to_live: bool, wrong: list[str]) -> None:
    merges, merged = Merges(), {"kind": "entity.merged", "data": {"absorbed_id": "came and went", "link": []}}
    merges.add("one", merged, "first", recovery=False)
    if told_to_live:
        merges.add("came and went", {"kind": "entity.created", "data": {}}, "between", recovery=True)
    merges.add("one", merged, "second", recovery=False)
    assert [one.kind for one in merges.repeated()] == wrong


@pytest.mark.parametrize(
    ("created", "wrong"), [("2024-05-01T10:00", []), ("2024-05-01T08:00", ["timeline.merged_again"]), (None, ["timeline.merged_again"])]
)
def test_an_id_that_was_absorbed_before_it_was_told_to_live_may_be_absorbed_once_more(created: str | None, wrong: list[str]) -> None:
    merges, merged = Merges(), {"kind": "entity.merged", "data": {"absorbed_id": "came and went", "link": []}}
    merges.add("one", {**merged, "recorded_at": "2024-05-01T09:00"}, "first", recovery=False)
    if created:
        merges.add("came and went", {"kind": "entity.created", "data": {}, "recorded_at": created}, "between", recovery=False)
    merges.add("one", {**merged, "recorded_at": "2024-05-01T11:00"}, "second", recovery=False)
    assert [one.kind for one in merges.repeated()] == wrong


def test_a_transaction_that_never_ended_is_named() -> None:
    [found] = check_open({("nexus.entities", 2): (17, 20)})
    assert str(found) == "nexus.entities/2: a transaction is open from offset 17 on, the partition ends at 20, and its time is over"


def test_a_line_names_key_place_and_versions() -> None:
    case = Case()
    a_version_that_falls(case)
    line = case.topics["entities"][-1]
    [said] = lines(check(SETTINGS, case.seen(), redis_lost_writes=False))
    first = next(one for one in reversed(case.of("entities", line.partition)[:-1]))
    assert said == (
        f"rounds.order: entities, {(line.key or b'').decode()}: version 4 at partition {line.partition}, offset {line.offset} "
        f"comes after version 5 at offset {first.offset}"
    )


def test_many_of_a_kind_are_cut() -> None:
    found = list(lines([Difference("entities.ghost", f"per_{number}", "a ghost") for number in range(50)]))
    assert len(found) == MOST_LINES + 1
    assert found[-1] == "entities.ghost: ... and 30 more"


def test_the_judge_comes_to_its_own_judgement() -> None:
    """Neither the resolver nor a stage is asked what should be."""
    allowed = {"streams", "streams.kafka", "streams.settings", "streams.topics"}
    for path in sorted(Path(__file__).parent.glob("judge*.py")):
        imported = modules_of(path)
        assert not {name for name in imported if name.split(".")[0] == "resolvers"}
        assert {name for name in imported if name.split(".")[0] == "streams" and not name.startswith("streams.verify")} <= allowed
        own = {name for name in imported if name.split(".")[0] == "tests"}
        assert all(name.startswith("tests.chaos.judge_") for name in own)


def modules_of(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    found: set[str] = set()
    for node in tree:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found
