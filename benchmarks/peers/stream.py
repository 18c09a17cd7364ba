"""The files that are compared on: the stream that `nexus bench` measures, cut down to who was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import orjson

from benchmarks.peers.sightings import Sighting, encode_sighting
from streams.bench.stream import START_MS, STEP_MS, product_records
from streams.times import format_time


def write_records(path: Path, count: int, links: int = 0) -> None:
    """Write so many records of the measured stream, and a person whose identifiers form a chain of so many links."""
    _write(path, chain(map(_of_product, product_records(count)), _chain(links)))


def write_later(path: Path, count: int, first: int) -> None:
    """Write so many records that come after the first ones. The first is of somebody new, with three identifiers."""
    newcomer = {"user_id": "u-newcomer", "email": "newcomer@mail.example", "anonymous_id": "newcomer-0"}
    seen = Sighting("newcomer", format_time(START_MS + first * STEP_MS), _named(newcomer))
    _write(path, chain([seen], map(_of_product, product_records(count - 1, first))))


def _write(path: Path, sightings: Iterable[Sighting]) -> None:
    with path.open("wb") as file:
        file.writelines(encode_sighting(one) + b"\n" for one in sightings)


def _of_product(record: bytes) -> Sighting:
    """Read a record; a letter before the device, since one of zeros would be blocked as junk."""
    told = orjson.loads(record)
    user = told["user"]
    named = {"user_id": user.get("id"), "email": user.get("email", "").lower(), "anonymous_id": f"d{told['device']}"}
    return Sighting(told["id"], told["at"], _named(named))


def _named(identifiers: Mapping[str, str | None]) -> list[str]:
    return [f"{kind}:{value}" for kind, value in identifiers.items() if value]


def _chain(links: int) -> Iterator[Sighting]:
    for number in range(links):
        seen = [f"email:old-{number:06}@chain.example", f"email:old-{number + 1:06}@chain.example"]
        yield Sighting(f"chain-{number}", format_time(START_MS + number * STEP_MS), seen)
