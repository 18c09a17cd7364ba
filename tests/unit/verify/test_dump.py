from __future__ import annotations

import re
from pathlib import Path

import msgpack

from streams.verify.dump import _READERS, Dump
from streams.verify.instants import YEAR_ONE
from streams.verify.packed import Fold, LinkRecord, ListHeads, Node, Pair, Part

AT = 1_704_067_200_000
LATER = (AT + YEAR_ONE).to_bytes(7, "big")
HOUR = ((AT + YEAR_ONE) // 3_600_000).to_bytes(4, "big")
DIGEST = bytes(range(16))
FACT = [AT + YEAR_ONE, "crm", "e1", '"Ann"']
ANN = (AT, "crm", "e1"), b'"Ann"'


def number(value: int) -> bytes:
    return value.to_bytes(5, "big")


def packed(value: object) -> bytes:
    return bytes(msgpack.packb(value, use_bin_type=False))


def test_a_node_is_55_bytes() -> None:
    raw = number(1) + number(2) + LATER + HOUR + number(3) + number(4) + number(5) + b"\x06" + DIGEST + b"\x00\x05"
    dump = Dump()
    dump.read("n", "2", {b"\x07": raw})
    assert len(raw) == 55
    assert dump.nodes == {2 * 128 + 7: Node(1, 2, AT, AT // 3_600_000, 3, 4, 5, 6, DIGEST, 5)}


def test_a_part_is_56_bytes_with_6_per_type_and_5_per_listed_identifier() -> None:
    raw = number(1) + LATER + HOUR + number(3) + bytes(7) + bytes(16) + number(12) + b"\x01"
    raw += number(3) + b"\x02" + b"\x01" + number(2) + b"\x04" + number(1)
    dump = Dump()
    dump.read("p", "0", {b"\x01": raw + number(1) + number(8) + number(9)})
    assert len(raw) == 56 + 2 * 6
    assert dump.parts == {1: Part(1, AT, AT // 3_600_000, 3, {1: 2, 4: 1}, [1, 8, 9], 12, 1)}


def test_a_link_is_13_bytes_with_10_per_member_and_its_traits() -> None:
    raw = LATER + HOUR + b"\x00\x02" + number(7) + number(0) + number(8) + number(4)
    dump = Dump()
    dump.read("k", "0", {b"\x05": raw + packed(["crm", "e1", {"name": FACT}]), b"\x06": raw + packed(["crm", "e1", []])})
    assert dump.links == {
        5: LinkRecord(AT, AT // 3_600_000, [(7, 0), (8, 4)], "crm", "e1", {"name": ANN}),
        6: LinkRecord(AT, AT // 3_600_000, [(7, 0), (8, 4)], "crm", "e1", {}),
    }


def test_memberships_are_facts_with_their_place_in_two_lists() -> None:
    dump = Dump()
    dump.read("meta", "", {b"buckets": b"16"})
    following = number(7) + number(9)
    dump.read("m", str((7 * 31 + 8) % 16), {number(7) + number(8): packed([FACT, 1, False, FACT, following, bytes(10), DIGEST, DIGEST, 4])})
    dump.read("q", "0", {b"\x01": number(7) + number(8) + bytes(10)})
    dump.read("r", "7", {DIGEST + DIGEST: packed([FACT, 0, FACT, True, 2, 4])})
    assert dump.pairs == {(7, 8): Pair(ANN, True, None, ANN, (7, 9), (0, 0), (DIGEST, DIGEST))}  # noqa: FBT003 - as it is packed
    assert dump.heads == {1: ListHeads((7, 8), (0, 0))}
    assert dump.folds == {(DIGEST, DIGEST): Fold(ANN, ended=False, active=ANN, begun=ANN, pairs=2)}
    assert dump.misplaced == []


def test_a_record_in_the_wrong_bucket_is_misplaced() -> None:
    dump = Dump()
    dump.read("meta", "", {b"buckets": b"16"})
    dump.read("i", "3", {DIGEST: number(1)})
    assert (dump.node_of, dump.misplaced) == ({DIGEST: 1}, [f"node_of {DIGEST.hex()} in bucket 3"])


def test_what_was_seen_with_an_identifier_may_lie_in_its_page_or_under_its_own_key() -> None:
    dump = Dump()
    dump.read("h", "0", {b"\x01": number(7) + number(8), b"\x02": b"*"})
    dump.read("H", "2", {b"7", b"9"})
    assert dump.together == {1: {7, 8}, 2: {7, 9}}


def test_states_positions_and_the_outbox_are_read() -> None:
    dump = Dump()
    dump.read("o", "5", [packed(["plan", AT + YEAR_ONE, "crm", "e1", 0, "free"])])
    dump.read("pos", "", {b"events/3": b"12:99"})
    dump.read("dirty", "0", {b"e1": b""})
    dump.read("dirty", "1", {b"e2": b"", b"e3": b""})
    dump.read("round", "1", {b"number": b"8", b"payload": b""})
    assert dump.states == {5: {("plan", (AT, "crm", "e1"), 0, "free")}}
    assert dump.positions == {"events/3": 12}
    dump.read("case", "4", {b"seq": b"1"})
    dump.read("case", "5", {b"into": b"4"})
    dump.read("case", "4:roots", {b"7", b"9"})
    assert (dump.case(5), dump.case(4)) == (4, 4)
    assert dump.cases == {4: {7, 9}}
    assert (dump.outbox, dump.rounds) == ({"dirty": 3, "rounds in flight": 1}, {1: 8})


def test_every_kind_of_key_that_the_page_names_is_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "redis-layout.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    kinds = {name.partition(":")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert {"meta", "rests", "lapses"} <= kinds
    assert kinds - {"recovery", "ends"} <= set(_READERS)  # while these are there, the space is not what the topics say
