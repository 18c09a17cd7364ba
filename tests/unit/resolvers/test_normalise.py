"""Normalisers: one form for every spelling, nothing dropped, and the quick ways agree with the libraries."""

from __future__ import annotations

from collections.abc import Callable

import phonenumbers
import pytest
from email_validator import validate_email
from hypothesis import assume, example, given
from hypothesis import strategies as st

from resolvers import normalise
from resolvers.normalise import NORMALISERS, domain, email, exact, lower, normaliser, phone

LOCAL = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$%&'*+/=?^_`{|}~-."
HOST = "abcxyzABCXYZ0123456789-."


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("  Ann.Lee+news@Mail.Example ", "ann.lee+news@mail.example"),
        ("Zo\u0065\u0308@x.example", "zoë@x.example"),
        ("ann@BÜCHER.example", "ann@bücher.example"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example"),
        ("root@localhost", "root@localhost"),
        ("No Address", "no address"),
        ("@", "@"),
    ],
)
def test_email(written: str, normal: str) -> None:
    assert email(written) == normal


@pytest.mark.parametrize(
    ("written", "region", "normal"),
    [
        ("+1 (650) 253-0000", None, "+16502530000"),
        ("+16502530000", None, "+16502530000"),
        ("650 253 0000", "US", "+16502530000"),
        ("044 668 18 00", "CH", "+41446681800"),
        ("+41 44 668 18 00", "US", "+41446681800"),
        ("+1 650 253 0000 ext. 12", None, "+16502530000;ext=12"),
        ("650 253 0000", None, "650 253 0000"),
        ("555-0123", "US", "+15550123"),
        ("+1 555 010 1234", None, "+15550101234"),
        ("12", "US", "12"),
        ("Call Me", "US", "call me"),
    ],
)
def test_phone(written: str, region: str | None, normal: str) -> None:
    assert phone(written, region) == normal


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Example.COM", "example.com"),
        ("www.example.com", "example.com"),
        ("https://www.Example.com:8080/shop?a=b#c", "example.com"),
        ("http://user@example.com", "example.com"),
        ("example.com.", "example.com"),
        ("shop.example.com", "shop.example.com"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://", "https://"),
        ("www.", "www"),
    ],
)
def test_domain(written: str, normal: str) -> None:
    assert domain(written) == normal


def test_exact_only_trims_and_lower_lowers() -> None:
    assert (exact("  A b "), lower("  A b ")) == ("A b", "a b")


def test_a_normaliser_is_found_by_its_name_and_none_is_exact() -> None:
    assert normaliser(None) is exact
    assert normaliser("email") is email
    assert normaliser("phone", "CH")("044 668 18 00") == "+41446681800"
    with pytest.raises(KeyError):
        normaliser("soundex")


@given(st.text(LOCAL, min_size=1, max_size=20), st.text(HOST, min_size=1, max_size=20), st.sampled_from(["example", "COM", "co.uk"]))
@example("a", "b", "example")
def test_the_quick_way_for_addresses_agrees_with_the_library(local: str, host: str, top: str) -> None:
    address = f"{local}@{host}.{top}".lower()
    assume(normalise._COMMON_EMAIL.fullmatch(address) and "xn--" not in address)
    found = _by_library(address)
    assert found is None or email(address) == found


def _by_library(address: str) -> str | None:
    try:
        return validate_email(address, check_deliverability=False, test_environment=True).normalized.lower()
    except ValueError:
        return None  # what the library refuses is kept as it is, lower-cased


@given(st.from_regex(normalise._COMMON_PHONE, fullmatch=True))
def test_the_quick_way_for_numbers_agrees_with_the_library(written: str) -> None:
    number = phonenumbers.parse(written, None)
    assert phonenumbers.is_possible_number(number)
    assert phone(written) == written == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


near = st.one_of(
    st.text(min_size=1),
    st.text("+0123456789 ()-.exttwfax#;=AB", min_size=1),
    st.text("abz@.-_ wxn:/?#[]\u00c4\u00df\u0130\u0131\u017f\u212a\u200d\u0307", min_size=1),
    st.emails(),
    st.builds("{}@{}".format, st.text(min_size=1), st.text(min_size=1)),
)


@pytest.mark.parametrize("normal", [exact, lower, email, phone, normaliser("phone", "US")])
@given(text=near)
@example(text="\u0130@x.example")
@example(text="a@b@c")
def test_normalising_again_changes_nothing(normal: Callable[[str], str], text: str) -> None:
    once = normal(text)
    assert normal(once) == once


@given(
    st.sampled_from(["", "http://", "HTTPS://www.", "//"]),
    st.from_regex(r"[a-zA-Zäß0-9]{1,9}(\.[a-zA-Z]{2,5}){1,3}", fullmatch=True),
    st.sampled_from(["", ".", ":80", "/a/b", "/?q=a:b", "#c@d"]),
)
def test_normalising_a_host_again_changes_nothing(before: str, host: str, after: str) -> None:
    assume(not host.lower().startswith("www."))
    once = domain(f"{before}{host}{after}")
    assert domain(once) == once


@pytest.mark.parametrize("normal", [*NORMALISERS.values(), normaliser("phone", "US")])
@given(text=near)
def test_nothing_is_dropped(normal: Callable[[str], str], text: str) -> None:
    assume(text.strip())
    assert normal(text).strip()


def test_a_domain_without_a_host_stays_as_it_is() -> None:
    assert domain("@ :") == "@ :"
