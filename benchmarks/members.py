"""What it costs to take a company of very many members away, and to bring it back: its domain is blocked, and unblocked.

Run with `python benchmarks/members.py --redis URL [--members 40000]`. Printed are, for either, the seconds until nothing is left to
settle or sweep, and Redis's own times of its calls: percentiles, and the longest.
"""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.figures import print_figures
from benchmarks.hub import Ground
from resolvers.correction import Correction, CorrectionBatch, Kind
from resolvers.evidence import evidence_of
from resolvers.rules import Rules
from resolvers.sighting import Evidence, Position
from streams.events import Event, Identifier, Membership, Participant
from streams.settings import EntitySettings, IdentifierSettings


def rules() -> Rules:
    """Make the rules: people with an email, companies with a domain."""
    person, company = (EntitySettings(identifiers={name: IdentifierSettings()}) for name in ("email", "domain"))
    return Rules.from_settings({"person": person, "group": company}, b"a key")


def membership(under: Rules, number: int) -> Evidence:
    """Make the evidence of an event of one person in the company."""
    person = Participant("person", "", [Identifier("email", f"p{number}@acme.example")])
    company = Participant("group", "", [Identifier("domain", "acme.example")])
    at = f"2024-05-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"
    event = Event(f"e{number}", "bench", "seen", at, participants=[person, company], memberships=[Membership(0, 1, "member")])
    return evidence_of(under, event)


async def run(url: str, members: int) -> dict[str, Any]:
    """Hold the whole course; gives the figures."""
    ground = Ground(url, rules())
    await ground.graph.open()
    beside = asyncio.create_task(ground.beside())
    figures: dict[str, Any] = {}
    try:
        await ground.feed([membership(ground.rules, number) for number in range(members)])
        await ground.rest()
        usable = ground.rules.usable("group", "domain", "acme.example")
        assert usable is not None
        for at, (name, holds) in enumerate((("block", True), ("unblock", False))):
            await ground.forget_times()
            said = Correction(f"c{at}", Kind.BLOCK, holds, (usable,), at + 1)
            await ground.graph.correct(CorrectionBatch("commands", 0, at, Position(at + 1, 1), (said,)))
            figures[name] = {"seconds": await ground.rest(), "calls": await ground.times()}
        return figures
    finally:
        ground.close()
        await beside
        await ground.graph.drop()
        await ground.graph.close()
        await ground.redis.aclose()


if __name__ == "__main__":
    print_figures(__doc__, run, "members", 40_000)
