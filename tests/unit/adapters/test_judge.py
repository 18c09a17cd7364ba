from __future__ import annotations

import pytest

from streams.adapters.judge import Judge
from streams.events import Event, Identifier, Participant

JUDGE = Judge({"invoice paid": 5, "invoice": 2}, ["Quill.example"])


def event(*people: str, name: str = "seen", kind: str | None = None) -> Event:
    participants = [
        Participant("group" if one.startswith("domain:") else "person", identifiers=[Identifier(*one.split(":", 1))]) for one in people
    ]
    return Event("e", "s", name, "2024-05-01T09:00:00.000Z", kind, participants=participants)


@pytest.mark.parametrize(
    ("people", "internal"),
    [
        (["email:ann@quill.example", "email:bob@mail.quill.example"], True),
        (["email:ann@quill.example", "email:bob@quill.example.org"], False),
        (["email:ann@notquill.example"], False),
        (["domain:www.quill.example"], True),
        (["domain:https://other.example/x", "email:ann@quill.example"], False),
        (["user_id:u1", "email:ann@quill.example"], True),
        (["user_id:u1"], None),
        (["slack:@ann", "email:ann@quill.example"], True),
        (["slack:@ann"], None),
        (["mastodon:@ann@social.example", "email:ann@quill.example"], True),
        ([], None),
    ],
)
def test_an_event_is_internal_if_all_whose_domain_is_known_are_ours(people: list[str], internal: bool | None) -> None:
    assert JUDGE.judge(event(*people)).internal is internal


def test_significance_is_by_name_else_by_type_and_what_the_adapter_said_stands() -> None:
    assert JUDGE.judge(event(name="invoice paid", kind="invoice")).significance == 5
    assert JUDGE.judge(event(name="invoice sent", kind="invoice")).significance == 2
    assert JUDGE.judge(event()).significance is None
    said = event("email:ann@quill.example", name="invoice paid")
    said.significance, said.internal = 1, False
    assert (JUDGE.judge(said).significance, said.internal) == (1, False)


def test_without_own_domains_nothing_is_said() -> None:
    assert Judge({}, []).judge(event("email:ann@quill.example")).internal is None
