"""Golden values: what decides who is who beside the settings is in the fingerprint of the rules, and nothing else is."""

from __future__ import annotations

from typing import Any

import idna
import phonenumbers
import pytest
from email_validator import EmailNotValidError

from resolvers import normalise, rules
from resolvers.blocked import DEFAULT_JUNK
from resolvers.golden import GOLDEN, made_of_golden
from resolvers.normalise import NORMALISERS
from resolvers.rules import Rules
from streams.settings import EntitySettings


def fingerprint(normaliser: str, region: str | None = None) -> str:
    """Give the fingerprint of rules that use one normaliser."""
    declared = {"normalise": normaliser} | ({"region": region} if region else {})
    return Rules.from_settings({"person": EntitySettings.model_validate({"identifiers": {"contact": declared}})}, b"key").fingerprint


def test_every_normaliser_has_golden_values_that_it_changes() -> None:
    assert GOLDEN.keys() == NORMALISERS.keys()
    for name, values in GOLDEN.items():
        assert made_of_golden(name) != list(values)
        assert len(set(values)) == len(values)


def test_golden_values_tell_normalisers_and_regions_apart() -> None:
    made = {tuple(made_of_golden("phone", region)) for region in (None, "US", "CH", "MX", "GB", "DE", "FR", "RU", "AU")}
    assert len(made) == 9


def _another_length(number: Any) -> bool:
    return len(str(number.national_number)) < 10


def _another_address(value: str, **_: Any) -> Any:
    raise EmailNotValidError(value)


@pytest.mark.parametrize(
    ("normaliser", "module", "name", "changed"),
    [
        ("phone", phonenumbers, "is_possible_number", _another_length),
        ("phone", phonenumbers, "format_number", lambda number, _: f"00{number.country_code}{number.national_number}"),
        ("email", normalise, "validate_email", _another_address),
        ("domain", idna, "encode", lambda value, **_: value.encode("punycode")),
        ("lower", normalise, "NORMALISERS", {**NORMALISERS, "lower": str.casefold}),
        ("exact", rules, "DEFAULT_JUNK", (*DEFAULT_JUNK, "nobody")),
        ("exact", rules, "MOST_CHARACTERS", 100),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_new_version_does_otherwise_makes_other_rules(
    monkeypatch: pytest.MonkeyPatch, normaliser: str, module: Any, name: str, changed: Any
) -> None:
    before = fingerprint(normaliser)
    monkeypatch.setattr(module, name, changed)
    assert fingerprint(normaliser) != before


def test_a_normaliser_that_is_not_used_makes_no_other_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [fingerprint(name) for name in ("exact", "email", "domain")]
    monkeypatch.setattr(phonenumbers, "is_possible_number", _another_length)
    assert [fingerprint(name) for name in ("exact", "email", "domain")] == before


@pytest.mark.parametrize(
    ("normaliser", "region", "known"),
    [
        ("exact", None, "3eaf66eddbc6756e"),
        ("lower", None, "63b699d1828fe192"),
        ("email", None, "ca3f8ee2668f6218"),
        ("phone", None, "46656b6f313e7286"),
        ("phone", "US", "5311ef18cb45d57e"),
        ("domain", None, "bfb678073bcbb57f"),
    ],
)
def test_whoever_changes_what_is_made_of_values_knows_it(normaliser: str, region: str | None, known: str) -> None:
    assert fingerprint(normaliser, region) == known, "spaces must be rebuilt: say so in the change log, and write the new fingerprint here"
