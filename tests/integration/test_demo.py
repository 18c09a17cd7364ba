"""The demo as a user runs it, and everything that it claims about its samples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from streams.stack import Addresses

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]


@pytest.fixture(scope="module")
def shown(stack: Addresses) -> dict[str, Any]:
    addresses = {"NEXUS__KAFKA__BOOTSTRAP_SERVERS": stack.bootstrap_servers, "NEXUS__REDIS__URL": stack.redis_url}
    command = [sys.executable, "-m", "streams", "demo", "--json", "--pace", "1"]
    ended = subprocess.run(command, env={**os.environ, **addresses}, capture_output=True, text=True, timeout=150, check=False)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def named(shown: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in shown["entities"] if one["name"] == name]
    return dict(found)


def values(entity: dict[str, Any]) -> set[str]:
    return {one["value"] for one in entity["identifiers"]}


def test_nine_persons_and_three_companies_come_out(shown: dict[str, Any]) -> None:
    persons = {one["name"] for one in shown["entities"] if one["entity_type"] == "person"}
    people = {"Mara Lindqvist", "Jonas Okafor", "Priya Raman", "Bea Calloway", "Elif Demir", "Tomas Ferreira", "Nadia Haddad", "Oskar Wynn"}
    assert persons == people | {"an-visitor-aa17"}
    assert {one["name"] for one in shown["entities"] if one["entity_type"] == "group"} == {
        "Brightkettle",
        "Northmill Bakery",
        "Fernhollow Studio",
    }


def test_two_devices_a_card_a_telephone_order_and_a_new_address_are_one_person(shown: dict[str, Any]) -> None:
    mara = named(shown, "Mara Lindqvist")
    assert values(mara) == {
        "u-101",
        "mara@northmill.example",
        "m.lindqvist@northmill.example",
        "cus_NM7",
        "5511",
        "+442079460018",
        "an-phone-22c9",
        "an-laptop-7f31",
    }
    (address,) = [one for one in mara["identifiers"] if one["value"] == "mara@northmill.example"]
    assert set(address["sources"]) == {"website", "gmail", "calendar", "stripe", "crm"}


def test_the_reasons_connect_every_identifier(shown: dict[str, Any]) -> None:
    for entity in shown["entities"]:
        reached = {entity["identifiers"][0]["value"]}
        links = [{value for _, value in one["identifiers"]} for one in entity["reasons"]]
        while more := [link for link in links if link & reached and not link <= reached]:
            reached.update(*more)
        assert reached == values(entity)
        assert len(links) < len(entity["identifiers"])


def test_an_alias_joins_two_accounts(shown: dict[str, Any]) -> None:
    jonas = named(shown, "Jonas Okafor")
    assert {"u-102", "u-140", "jonas@okafor.example", "an-tablet-9d04", "cus_FH2"} <= values(jonas)
    assert "alias" in {one["event"] for one in jonas["reasons"]}


def test_a_shared_mailbox_and_junk_join_nobody(shown: dict[str, Any]) -> None:
    unheard = {one["value"]: one["participants"] for one in shown["unheard"]}
    assert unheard == {"info@northmill.example": 7, "undefined": 2, "N/A": 2, "000-0000": 2}
    assert not unheard.keys() & {value for entity in shown["entities"] for value in values(entity)}


def test_a_visit_that_arrives_last_gives_the_id(shown: dict[str, Any]) -> None:
    mara = named(shown, "Mara Lindqvist")
    assert mara["first_seen"] == "2025-02-24T18:03:27.000Z"
    assert mara["former_ids"]
    assert mara["entity_id"] not in mara["former_ids"]


def test_a_lifecycle_across_sources_is_corrected_by_a_late_event(shown: dict[str, Any]) -> None:
    jonas = named(shown, "Jonas Okafor")
    assert [value for value, _ in jonas["states"]["customer_lifecycle"]] == ["trial", "active", "past_due", "churned"]
    assert [value for value, _ in jonas["states"]["support_contact"]] == ["talking", "silent"]
    assert [since[:10] for _, since in jonas["states"]["billing_subscription"]] == ["2025-03-18", "2025-03-22", "2025-03-28"]
    corrected = {one["state"]: (one["event_id"], [new[0] for new in one["new"]]) for one in jonas["corrections"]}
    assert corrected["billing_subscription"] == ("evt_015", ["active"])
    assert corrected["customer_lifecycle"] == ("evt_015", ["trial", "active"])
    northmill = named(shown, "Northmill Bakery")
    assert northmill["states"]["account_contact"][0][0] == "talking"


def test_a_company_is_live_while_a_member_is(shown: dict[str, Any]) -> None:
    of_jonas = dict(named(shown, "Jonas Okafor")["states"]["customer_lifecycle"])
    (quiet, _), *others = named(shown, "Fernhollow Studio")["states"]["account_activity"]
    assert quiet == "quiet"
    assert others == [["live", of_jonas["active"]], ["quiet", of_jonas["past_due"]]]
    assert all(one["event_id"] for person in shown["entities"] for one in person["corrections"])


def test_a_membership_moves_with_a_merge(shown: dict[str, Any]) -> None:
    jonas = named(shown, "Jonas Okafor")
    assert jonas["moved"] >= 1
    assert [one["name"] for one in jonas["memberships"]] == ["Fernhollow Studio"]


def test_an_old_row_that_comes_after_the_new_one_changes_nothing(shown: dict[str, Any]) -> None:
    mara = named(shown, "Mara Lindqvist")
    assert mara["traits"]["title"] == "Head of operations"
    assert [(one["name"], one["role"]) for one in mara["memberships"]] == [("Northmill Bakery", "Head of operations")]


def test_three_records_are_in_the_dead_letters_with_their_reasons(shown: dict[str, Any]) -> None:
    assert {one["source"] for one in shown["letters"]} == {"calendar", "crm", "stripe"}
    assert (shown["records"], shown["events"]) == (80, 77)


def test_resolution_is_a_stream(shown: dict[str, Any]) -> None:
    assert 0 < shown["first_entity_seconds"] < shown["published_seconds"] + shown["settled_seconds"]


def test_an_independent_recomputation_finds_the_same(shown: dict[str, Any]) -> None:
    assert shown["differences"] == []
    assert shown["verified"] is True
