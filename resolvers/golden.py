"""Golden values: a small fixed list by which the rules notice that values are normalised otherwise than before.

Invariant: the list stays as it is, since every change of it gives all rules another fingerprint, and every space is rebuilt then.
Neighbours: `normalise` makes them normal; `rules` puts what becomes of them into the fingerprint. Cost: about 1 ms a type.
"""

from __future__ import annotations

from collections.abc import Mapping

from resolvers.normalise import normaliser

GOLDEN: Mapping[str, tuple[str, ...]] = {
    "exact": ("  Ann A. ", "\u00c9"),
    "lower": ("  Ann A. ", "\u00c9", "STRA\u00dfE", "\u0130"),
    "email": (
        " Ann.Archer+News@Quill.Example ",
        "Ann@B\u00dcCHER.example",
        "ann@xn--bcher-kva.example",
        "Jose\u0301@x.example",
        "ann@fa\u00df.example",
        "ann@\uff11\uff12.example",
        "ann@[192.0.2.1]",
        '"ann archer"@x.example',
        "Ann <ann@x.example>",
        "ann@x.example.",
        "a..b@x.example",
        "ann@@x.example",
        "root@LocalHost",
        "No Address",
    ),
    "phone": (
        "+1 (415) 555-2671",
        "+14155552671",
        "(415) 555-2671 ext. 12",
        "tel:+1-415-555-2671;ext=12",
        "+1 800 FLOWERS",
        "001 415 555 2671",
        "011 44 20 7946 0018",
        "044 668 18 00",
        "020 7946 0018",
        "0151 23456789",
        "8 912 345-67-89",
        "06 12 34 56 78",
        "+41 (0)44 668 18 00",
        "+39 06 698 12345",
        "+52 1 55 1234 5678",
        "+54 9 11 2345-6789",
        "+55 11 91234-5678",
        "+225 0123456789",
        "+\uff12\uff14\uff14 923 123 456",
        "+\u0664\u0661 44 668 18 00",
        "+800 1234 5678",
        "+999 123456",
        "+49 30 1234567890123456",
        "112",
        "Call Me",
        *("23456789012345"[:length] for length in range(4, 15)),  # which lengths a country has
    ),
    "domain": (
        "HTTPS://Ann@WWW.Quill.Example:8443/a?b#c",
        "quill.example.",
        "quill.example?x=1",
        "quill.example#x",
        "www.B\u00dcCHER.example",
        "xn--bcher-kva.example",
        "fa\u00df.example",
        "b\u00fccher\u3002example",
        "-\u00fc.example",
        "[2001:db8::1]",
        "www.",
        " :80",
    ),
}
"""By the name of the normaliser: values of every kind that it tells apart, and that its library does."""


def made_of_golden(name: str | None, region: str | None = None) -> list[str]:
    """Give what a normaliser makes of its golden values, in their order; None is `exact`. Raises KeyError for an unknown one."""
    made = normaliser(name, region)
    return [made(value) for value in GOLDEN[name or "exact"]]
