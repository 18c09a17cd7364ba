"""What a client sends is understood, however the network cuts it."""

from __future__ import annotations

import pytest

from tests.chaos.kafka_requests import END_TXN, INIT_PRODUCER_ID, Request, Requests

# size, api key, version, correlation id, client id, then the body
END = b"\x00\x00\x00\x21\x00\x1a\x00\x00\x00\x00\x00\x07\x00\x02ab\x00\x08nexus-p1\x00\x00\x00\x00\x00\x00\x00\x01\x00\x05\x01"
INIT = b"\x00\x00\x00\x16\x00\x16\x00\x00\x00\x00\x00\x08\xff\xff\x00\x06nexus2\x00\x00\x2e\xe0"
PRODUCE = b"\x00\x00\x10\x0a\x00\x00\x00\x07\x00\x00\x00\x09\x00\x00" + bytes(4_096)
ASKED = [Request(END_TXN, "nexus-p1"), Request(0), Request(INIT_PRODUCER_ID, "nexus2"), Request(END_TXN, "nexus-p1")]


@pytest.mark.parametrize("cut", [1, 3, 5, 30, 37, 1_000, 5_000])
def test_requests_are_found_in_chunks_of_any_size(cut: int) -> None:
    sent = END + PRODUCE + INIT + END
    requests = Requests()
    found = [one for at in range(0, len(sent), cut) for one in requests.feed(sent[at : at + cut])]
    assert found == ASKED


def test_a_version_that_writes_strings_otherwise_is_only_passed() -> None:
    assert list(Requests().feed(END[:7] + b"\x03" + END[8:])) == [Request(END_TXN)]
