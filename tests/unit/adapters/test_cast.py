from __future__ import annotations

import pytest

from streams.adapters.cast import Cast
from streams.events import Identifier, Membership, Participant


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


@pytest.mark.parametrize("address", ["@", "ann@", "@acme.example", " @ ", "@@acme.example", "ann"])
def test_address_that_is_obviously_none_is_left_out(address: str) -> None:
    cast = Cast()
    cast.person("customer", address, name="Ann", others=[("phone", "+15550100")])
    assert cast.participants() == [Participant("person", "customer", [Identifier("phone", "+15550100")], {"name": "Ann"})]
