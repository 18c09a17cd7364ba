from __future__ import annotations

import pytest

from streams.adapters.mail_domains import PUBLIC_MAIL_DOMAINS, clean_domain, mail_domain

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
    assert mail_domain(f"ann@{domain}") is None


@pytest.mark.parametrize(
    "domain", ["google.com", "microsoft.com", "github.com", "live.acme.example", "yahoo.acme.example", "acme.example", ""]
)
def test_domains_of_firms_are_not_public(domain: str) -> None:
    assert domain not in PUBLIC_MAIL_DOMAINS


def test_public_domains_are_written_the_way_they_are_looked_up() -> None:
    assert [domain for domain in PUBLIC_MAIL_DOMAINS if clean_domain(domain) != domain] == []


@pytest.mark.parametrize("suffix", ["co.uk", "github.io", "com.au", "blogspot.com", "公司.cn", "CO.UK"])
def test_domains_that_anyone_can_have_a_domain_under_are_no_groups(suffix: str) -> None:
    assert mail_domain(f"ann@{suffix}") is None
    assert mail_domain(f"ann@acme.{suffix}") is not None


def test_domains_under_unknown_endings_are_groups() -> None:
    assert mail_domain("ann@acme.internal") == "acme.internal"
