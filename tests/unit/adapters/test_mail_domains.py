from __future__ import annotations

import pytest

from resolvers.errors import Rejected
from streams.adapters.mail_domains import (
    PUBLIC_MAIL_DOMAINS,
    Cast,
    clean_domain,
    field,
    is_public_mail_domain,
    mail_domain,
    read_time,
    text,
)
from streams.events import Identifier, Membership, Participant

PROVIDERS = """
    gmail.com googlemail.com outlook.com outlook.fr hotmail.co.uk live.nl msn.com yahoo.co.jp yahoo.com.br ymail.com
    icloud.com me.com mac.com aol.com gmx.net gmx.de web.de mail.com mail.ru yandex.ru yandex.com qq.com 163.com 126.com
    proton.me protonmail.com pm.me zoho.com fastmail.com hey.com tutanota.com orange.fr free.fr laposte.net wanadoo.fr
    libero.it t-online.de comcast.net verizon.net att.net sbcglobal.net btinternet.com sky.com naver.com seznam.cz wp.pl
    bigpond.com users.noreply.github.com privaterelay.appleid.com
"""


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("ann@acme.example", "acme.example"),
        (" Ann@ACME.Example ", "acme.example"),
        ("ann@www.acme.example", "acme.example"),
        ("ann@mail.acme.example", "mail.acme.example"),
        ("ann@acme.example.", "acme.example"),
        ("ann@münchen.example", "münchen.example"),
        ('"a@b"@acme.example', "acme.example"),
        ("ann@gmail.com", None),
        ("ann@GMAIL.com", None),
        ("ann@www.gmail.com", None),
        ("ann@acme", None),
        ("ann@", None),
        ("@acme.example", None),
        ("acme.example", None),
        ("ann@[127.0.0.1]", None),
        ("ann@127.0.0.1", None),
        ("ann@two words.example", None),
        ("ann@a..example", None),
        ("ann@" + "a." * 200 + "example", None),
        ("", None),
    ],
)
def test_mail_domain_of_an_address(address: str, domain: str | None) -> None:
    assert mail_domain(address) == domain


@pytest.mark.parametrize("domain", PROVIDERS.split())
def test_domains_of_mail_providers_are_public(domain: str) -> None:
    assert is_public_mail_domain(domain)
    assert mail_domain(f"ann@{domain}") is None


@pytest.mark.parametrize(
    "domain", ["google.com", "microsoft.com", "github.com", "live.acme.example", "yahoo.acme.example", "acme.example", ""]
)
def test_domains_of_firms_are_not_public(domain: str) -> None:
    assert not is_public_mail_domain(domain)


def test_public_domains_are_written_the_way_they_are_looked_up() -> None:
    assert [domain for domain in PUBLIC_MAIL_DOMAINS if clean_domain(domain) != domain] == []


def test_field_gives_none_where_the_path_breaks() -> None:
    document = {"a": {"b": 1}, "c": [1], "d": None}
    assert field(document, "a", "b") == 1
    assert [field(document, *path) for path in (["a", "x"], ["c", "b"], ["d", "b"], ["a", "b", "c"])] == [None] * 4


def test_text_takes_texts_and_whole_numbers_only() -> None:
    document = {
        "text": " a ",
        "number": 12,
        "blank": " ",
        "flag": True,
        "float": 1.5,
        "huge": 10**5000,
        "list": ["a"],
        "object": {},
        "null": None,
    }
    assert {name: found for name in document if (found := text(document, name)) is not None} == {"text": "a", "number": "12"}


def test_time_is_empty_without_a_value_and_rejected_when_it_cannot_be_read() -> None:
    assert read_time(None, "`created`") == ""
    assert read_time(" ", "`created`") == ""
    assert read_time("1700000000", "`created`") == "2023-11-14T22:13:20.000Z"
    with pytest.raises(Rejected, match="`created`: 'yesterday' is not a time"):
        read_time("yesterday", "`created`")


def test_persons_of_one_domain_share_its_group_and_stay_apart() -> None:
    cast = Cast()
    cast.person("sender", "ann@acme.example", name="Ann")
    cast.person("recipient", "bob@ACME.example")
    cast.person("recipient", "cid@gmail.com")
    assert cast.participants() == [
        Participant("person", "sender", [Identifier("email", "ann@acme.example")], {"name": "Ann"}),
        Participant("person", "recipient", [Identifier("email", "bob@ACME.example")]),
        Participant("person", "recipient", [Identifier("email", "cid@gmail.com")]),
        Participant("group", "sender_domain", [Identifier("domain", "acme.example")]),
    ]
    assert cast.memberships() == [Membership(0, 3), Membership(1, 3)]


def test_membership_keeps_the_role_that_is_known() -> None:
    cast = Cast()
    group = cast.group("shop", domains=["acme.example"])
    owner = cast.person("owner", "ann@acme.example")
    cast.join(owner, group, "owner")
    cast.join(owner, group)
    assert cast.memberships() == [Membership(0, 1, "owner")]


@pytest.mark.parametrize("name", ["ann@acme.example", "Other@acme.example", "", None])
def test_name_that_is_only_an_address_is_no_trait(name: str | None) -> None:
    cast = Cast()
    cast.person("sender", "ann@acme.example", name=name)
    assert cast.participants()[0].traits == {}
