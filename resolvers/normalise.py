"""Normalisers: from a value as the source wrote it to the one form that every spelling of it shares.

Invariant: a normaliser never drops a value. What it cannot parse is kept, trimmed and lower-cased, because
rejecting would lose real people (`root@localhost` is an author in real commit logs).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

import idna
import phonenumbers
from email_validator import EmailNotValidError, validate_email

Normaliser = Callable[[str], str]
"""A trimmed value -> its normal form; never empty for a value that is not blank."""

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_COMMON_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[a-z]{{2,}}", re.ASCII)
_COMMON_PHONE = re.compile(r"\+1[2-9][0-9]{9}", re.ASCII)
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")


def exact(value: str) -> str:
    """Keep the value as it is, only trimmed."""
    return value.strip()


def lower(value: str) -> str:
    """Trim and lower-case."""
    return value.strip().lower()


def email(value: str) -> str:
    """Lower-case an address, in Unicode's composed form and its domain's international form.

    Lower-casing the local part joins what RFC 5321 allows to differ; no mail provider makes use of that.
    """
    plain = lower(value)
    if _COMMON_EMAIL.fullmatch(plain) and "xn--" not in plain:
        return plain
    try:
        return validate_email(plain, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError:
        return plain


def phone(value: str, region: str | None = None) -> str:
    """Write a number as E.164, an extension kept as `;ext=`; `region` is the country of numbers without `+`."""
    plain = value.strip()
    if _COMMON_PHONE.fullmatch(plain):
        return plain
    try:
        number = phonenumbers.parse(plain, region)
    except phonenumbers.NumberParseException:
        return plain.lower()
    if not phonenumbers.is_possible_number(number):
        return plain.lower()
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{written};ext={number.extension}" if number.extension else written


def domain(value: str) -> str:
    """Take the host out of a domain, URL or host with port: lower-case, ASCII form, without `www.` and a last dot."""
    host = _SCHEME.sub("", lower(value)).split("/", 1)[0].split("?", 1)[0].split("#", 1)[0].rpartition("@")[2]
    if host.count(":") == 1:
        host = host.split(":", 1)[0]
    host = host.rstrip(".").removeprefix("www.")
    if not host.strip():
        return lower(value)
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return host


NORMALISERS: Mapping[str, Normaliser] = {"exact": exact, "lower": lower, "email": email, "phone": phone, "domain": domain}


def normaliser(name: str | None, region: str | None = None) -> Normaliser:
    """Look up a normaliser by its name in the settings; None is `exact`. Raises KeyError for an unknown one."""
    if name == "phone":
        return partial(phone, region=region)
    return NORMALISERS[name or "exact"]
