"""Versions of Redis and Valkey: which are too old for the scripts, and which have holes that a later release has mended.

Invariant: only what the makers or a CVE record have published is named, and only for the lines that they name. Neighbours: `redis_checkup`
shows it. Read last in November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int, int]

SCRIPTS_NEED: Version = (7, 0, 0)
"""The first Redis that knows scripts which begin with `#!lua`. Every Valkey does."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Something that was mended: its names, what it lets happen, and the first release of each line without it.

    `all_before`: every line that is older has it too, also those that get no releases any more.
    """

    names: str
    harm: str
    mended: tuple[str, ...]
    all_before: bool = False

    def wanted(self, version: Version) -> Version | None:
        """Give the release that a server of this version needs, None where it needs none for this."""
        releases = sorted(found for one in self.mended if (found := version_of(one)))
        own = next((one for one in releases if one[:2] == version[:2]), None)
        if own is not None:
            return own if version < own else None
        return next((one for one in releases if one > version), None) if self.all_before else None


_SCRIPTS = "who may run scripts may take over the server"

HOLES: dict[str, tuple[Hole, ...]] = {
    "Redis": (
        Hole("CVE-2025-49844", _SCRIPTS, ("6.2.20", "7.2.11", "7.4.6", "8.0.4", "8.2.2"), all_before=True),
        Hole("CVE-2026-23479, CVE-2026-25243, CVE-2026-23631", "clients may take over the server", ("7.4.9", "8.2.6", "8.4.3", "8.6.3")),
        Hole(
            "the security release of July 2026",
            "clients may take over the server",
            ("6.2.23", "7.2.15", "7.4.10", "8.2.8", "8.4.5", "8.6.5", "8.8.1"),
        ),
        Hole(
            "CVE-2026-81934",
            "with TLS, anybody may take over the server",
            ("6.2.24", "7.2.16", "7.4.11", "8.2.9", "8.4.6", "8.6.6", "8.8.2", "8.10.1"),
            all_before=True,
        ),
        Hole(
            "the security release of September 2026", "a transaction may outlive a right that was taken away", ("8.6.7", "8.8.3", "8.10.2")
        ),
    ),
    "Valkey": (
        Hole("CVE-2025-49844", _SCRIPTS, ("7.2.11", "8.0.6", "8.1.4", "9.0.0"), all_before=True),
        Hole("CVE-2025-67733", "scripts may forge answers to others", ("7.2.12", "8.0.7", "8.1.6", "9.0.2"), all_before=True),
        Hole(
            "CVE-2026-23479, CVE-2026-25243, CVE-2026-23631",
            "clients may take over the server",
            ("7.2.13", "8.0.8", "8.1.7", "9.0.4", "9.1.0"),
        ),
        Hole("CVE-2026-56684, CVE-2026-63639", "clients may take over the server", ("7.2.14", "8.0.10", "8.1.9", "9.0.5", "9.1.1")),
        Hole("GHSA-fq2f-crmw-q97r", "anybody may make it use freed memory of its scripts", ("9.1.2",)),
        Hole("CVE-2026-136156", "in a cluster, clients may take over the server", ("7.2.15", "8.0.12", "8.1.11", "9.0.7", "9.1.3")),
        Hole("CVE-2026-130822", "with maxmemory-clients, clients may stop the server", ("7.2.16", "8.0.13", "8.1.12", "9.0.8", "9.1.4")),
    ),
}
"""By the name of the server, oldest first. Sources: the release notes of both servers, and the records of the CVEs."""


def version_of(text: str) -> Version | None:
    """Read a version as servers tell it; None for what is none."""
    parts = tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
    return parts if len(parts) == 3 else None


def too_old(name: str, text: str) -> bool:
    """Say whether a server cannot run the scripts."""
    version = version_of(text)
    return name == "Redis" and version is not None and version < SCRIPTS_NEED


def holes_of(name: str, text: str) -> tuple[str, str] | None:
    """Say what may happen to a server of this version, and the release that is needed; None where nothing is known of it."""
    version = version_of(text)
    if version is None:
        return None
    found = [(hole, wanted) for hole in HOLES[name] if (wanted := hole.wanted(version))]
    if not found:
        return None
    said = "; ".join(f"{hole.harm} ({hole.names})" for hole, _ in found)
    return said, ".".join(map(str, max(wanted for _, wanted in found)))
