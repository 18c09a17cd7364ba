"""States in the settings: what is refused, with where and why; and what the how-to shows is accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from resolvers.errors import SettingsError
from resolvers.evidence import evidence_of
from streams.events import Event, Identifier, Participant
from streams.graph import rules_of
from streams.settings import settings_from
from streams.settings.model import Settings

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "declare-a-state.md"
PLAN: dict[str, Any] = {"name": "billing_plan", "entity": "person", "values": ["free", "paid"]}


def derived(name: str, of: str, value: str = "of") -> dict[str, Any]:
    return {"name": name, "entity": "person", "derived": {"components": {"of": of}, "value": value}}


def carried(name: str, entity: str, **component: Any) -> dict[str, Any]:
    return {"name": name, "entity": entity, "derived": {"components": {"of": component}, "value": "of"}}


def from_how_to() -> Settings:
    (block,) = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    return settings_from(yaml.safe_load(block))


def test_the_states_of_the_how_to_are_accepted() -> None:
    assert [one.name for one in from_how_to().states] == [
        *("billing_subscription", "product_login", "customer_lifecycle"),
        *("account_activity", "product_colleagues"),
    ]


def test_what_events_and_participants_say_becomes_observations() -> None:
    rules = rules_of(from_how_to())
    carried = Participant("person", "actor", [Identifier("email", "a@x.example")], {}, {"subscription": "trial", "mood": "fine"})
    signed_in = Event("e1", "app", "Signed In", "2024-05-01T09:00:00.000Z", participants=[carried])
    (seen,) = evidence_of(rules, signed_in).sightings
    assert seen.states == (("billing_subscription", "trial"), ("mood", "fine"), ("product_login", "yes"))
    audit = Event("e2", "app", "x", "2024-05-01T09:00:00.000Z", "audit_event", "by hand", significance=5, participants=[carried])
    (seen,) = evidence_of(rules, audit).sightings
    assert ("product_login", "by hand") in seen.states
    slight = Event("e3", "app", "x", "2024-05-01T09:00:00.000Z", "audit_event", "by hand", significance=1, participants=[carried])
    (seen,) = evidence_of(rules, slight).sightings
    assert "product_login" not in dict(seen.states)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([PLAN | {"name": "plan"}], "states[0].name"),
        ([PLAN | {"entity": "persn"}], "did you mean 'person'?"),
        ([PLAN, PLAN], "states[1].name: 'billing_plan'"),
        ([PLAN | {"initial": "fre"}], "states[0].initial: 'fre': must be one of free, paid; did you mean 'free'?"),
        ([PLAN | {"rules": [{"event": "x", "value": "payd"}]}], "states[0].rules[0].value"),
        ([PLAN | {"rules": [{"event": "x"}]}], "either value or value_of must be given"),
        ([PLAN | {"rules": [{"value": "paid"}]}], "it would fit every event"),
        ([PLAN | {"rules": [{"when": "a[", "value": "paid"}]}], "must be a JMESPath expression"),
        ([PLAN | {"lapses": [{"value": "paid", "becomes": "free", "after": "soon"}]}], "states[0].lapses[0].after"),
        ([PLAN | {"lapses": [{"value": "paid", "becomes": "gone", "after": "1d"}]}], "states[0].lapses[0].becomes"),
        (
            [PLAN | {"lapses": [{"value": a, "becomes": b, "after": "1d"} for a, b in (("paid", "free"), ("free", "paid"))]}],
            "paid -> free -> paid",
        ),
        ([PLAN | {"lapses": [{"value": "paid", "becomes": "free", "after": "1d"}] * 2}], "lapses already"),
        ([derived("a_b", "c_d")], "must be a declared state of person"),
        ([PLAN, derived("a_b", "billing_plan", "nosuch(of)")], "calls 'nosuch', which JMESPath does not have"),
        ([PLAN | {"rules": [{"when": "a && nosuch(b)", "value": "paid"}]}], "calls 'nosuch'"),
        ([PLAN, derived("a_b", "billing_plan", "off && 'x'")], "derived.value: 'off': is nothing that it can ask for: of; did you mean"),
        ([PLAN, derived("a_b", "billing_plan", "join('-', [of, or_so])")], "'or_so': is nothing that it can ask for: of"),
        ([PLAN, derived("a_b", "billing_plan", "[of, vale] | [0]")], "'vale': is nothing that it can ask for: of"),
        ([PLAN, carried("a_b", "group", state="billing_plan", of="members", any="vale == 'x'")], "of.any: 'vale': is nothing that it can"),
        (
            [PLAN | derived("a_b", "c_d", "of && 'payd' || 'free'")],
            "derived.value: 'payd': must be one of free, paid; did you mean 'paid'?",
        ),
        ([PLAN, derived("a_b", "billing_plan", "of ||")], "states[1].derived.value"),
        (
            [PLAN | {"derived": {"components": {"of": "billing_plan"}, "value": "of"}, "rules": [{"event": "x", "value": "paid"}]}],
            "is not observed",
        ),
        ([derived("a_b", "b_c"), derived("b_c", "c_d"), derived("c_d", "a_b")], "in a circle"),
        ([PLAN, carried("a_b", "group", state="billing_plan", of="owners", any="value")], "must be one of members, groups"),
        ([PLAN, carried("a_b", "group", state="billing_plan", of="members")], "either any or all must be given"),
        ([PLAN, carried("a_b", "group", state="billing_plan", of="members", any="value", all="value")], "either any or all must be given"),
        ([PLAN, carried("a_b", "group", state="billing_plan", of="members", any="value", when="value")], "leave out when"),
        ([PLAN, carried("a_b", "person", state="billing_plan", any="value")], "say of whom"),
        ([PLAN, carried("a_b", "group", state="billing_plan", of="members", any="value ||")], "components.of.any"),
        ([PLAN, carried("a_b", "group", state="no_such", of="members", any="value")], "must be a declared state: billing_plan, a_b"),
        ([PLAN, carried("a_b", "group", state="billing_plan", any="value", of="members", most=0)], "greater than or equal to 1"),
        (
            [
                carried("a_b", "group", state="c_d", of="members", any="value"),
                carried("c_d", "person", state="a_b", of="groups", all="value"),
            ],
            "states of group and person are derived from each other in a circle",
        ),
    ],
)
def test_what_does_not_agree_is_named(states: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings_from({"states": states})
    assert said in str(raised.value)


def test_a_circle_is_named_state_by_state() -> None:
    with pytest.raises(SettingsError, match=r"a_b|b_c") as raised:
        settings_from({"states": [derived("a_b", "b_c"), derived("b_c", "a_b")]})
    assert "a_b" in str(raised.value)
    assert "b_c" in str(raised.value)


def test_a_changed_state_is_another_rule() -> None:
    fingerprints = {
        rules_of(settings_from({"states": states})).fingerprint
        for states in ([], [PLAN], [PLAN | {"initial": "free"}], [PLAN | {"values": ["free"]}], [PLAN, derived("a_b", "billing_plan")])
    }
    assert len(fingerprints) == 5
    described = rules_of(settings_from({"states": [PLAN | {"description": "what they pay for"}]})).fingerprint
    assert described in fingerprints


def test_a_rule_that_can_not_be_answered_does_not_fit_and_where_a_record_lay_is_no_matter() -> None:
    rules = [
        {"when": "starts_with(description, 'x')", "value": "one"},
        {"when": "contains(name, value)", "value": "two"},
        {"event": "seen", "value_of": "length(description)"},
        {"event": "seen", "value_of": "join('/', [origin.topic, recorded_at])"},
        {"event": "seen", "value_of": "participants[0].traits.long"},
    ]
    made = rules_of(settings_from({"states": [{"name": "some_state", "entity": "person", "rules": rules}]}))
    person = Participant("person", "", [Identifier("email", "a@x.example")], {"long": "x" * 1_001})
    event = Event("e1", "app", "seen", "2024-05-01T09:00:00.000Z", participants=[person])
    (seen,) = evidence_of(made, event).sightings
    assert seen.states == (("some_state", "x" * 1_000 + "\u2026"),)  # which no state allows


def observed(states: dict[str, str], declared: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    person = Participant("person", "", [Identifier("email", "a@x.example")], {}, states)
    made = rules_of(settings_from({"states": declared}))
    (seen,) = evidence_of(made, Event("e1", "app", "seen", "2024-05-01T09:00:00.000Z", participants=[person])).sightings
    return seen.states


def test_a_state_is_read_from_the_name_that_it_gives_and_from_no_other() -> None:
    renamed = [PLAN | {"participant": "plan"}]
    assert observed({"plan": "free", "billing_plan": "paid"}, renamed) == (("billing_plan", "free"),)
    assert observed({"billing_plan": "paid"}, renamed) == ()
    assert observed({"billing_plan": "paid"}, [PLAN]) == (("billing_plan", "paid"),)
    both = [*renamed, {"name": "app_plan", "entity": "person", "participant": "billing_plan"}]
    assert observed({"billing_plan": "paid"}, both) == (("app_plan", "paid"),)


def test_what_an_expression_compares_with_or_takes_from_what_it_found_is_not_what_it_gives_or_asks_for() -> None:
    value = "of == 'none' && null || {name: of}.name || 'paid' || not_null(of, 'free')"
    assert settings_from({"states": [PLAN, derived("a_b", "billing_plan", value) | {"values": ["paid", "free"]}]}).states
