"""Normal forms, for checking: the one spelling of an identifier's value that all its spellings share.

Written apart from the resolver's normalisers. Where those have a shortcut for common values, this takes the long way
through the library (e-mail addresses of plain letters and digits excepted, for speed).
"""

from __future__ import annotations

import string
from collections.abc import Callable

import idna
import phonenumbers
from email_validator import EmailNotValidError, validate_email

_PLAIN = frozenset(string.ascii_lowercase + string.digits)
_LONGEST_PLAIN_ADDRESS = 60


def normal_form(kind: str | None, region: str | None) -> Callable[[str], str]:
    """Give the function for a `normalise` setting; `region` is for phone numbers."""
    if kind == "phone":
        return lambda value: _phone(value, region)
    return {"email": _email, "domain": _domain, "lower": _lower}.get(kind or "", str.strip)


def _lower(value: str) -> str:
    return value.lower().strip()


def _email(value: str) -> str:
    address = _lower(value)
    if _is_plain(address):
        return address
    try:
        return validate_email(address, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError:
        return address


def _is_plain(address: str) -> bool:
    """Say whether an address is so ordinary that it can only mean itself: words of letters and digits, joined by dots."""
    local, at, host = address.partition("@")
    words = [*local.split("."), *host.split(".")]
    ordinary = at == "@" and "." in host and len(address) <= _LONGEST_PLAIN_ADDRESS and words[-1].isalpha()
    return ordinary and len(words[-1]) > 1 and all(word and _PLAIN.issuperset(word) for word in words)


def _phone(value: str, region: str | None) -> str:
    text = value.strip()
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return text.lower()
    if not phonenumbers.is_possible_number(number):
        return text.lower()
    international = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return international + (";ext=" + str(number.extension) if number.extension else "")


def _domain(value: str) -> str:
    whole = _lower(value)
    host = _without_scheme(whole)
    for end in "/?#":
        host = host.partition(end)[0]
    host = host.split("@")[-1]
    if host.count(":") == 1:
        host = host[: host.index(":")]
    while host.endswith("."):
        host = host[:-1]
    host = host.removeprefix("www.")
    if not host.strip():
        return whole
    try:
        return host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return host


def _without_scheme(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    named = bool(mark) and scheme[:1] in string.ascii_lowercase and bool(scheme)
    return rest if named and set(scheme) <= _PLAIN | set("+.-") else text
