"""The sample records: some weeks of a small kettle seller, as six sources tell them.

Invariant: within a source records come in the order of its file, between sources as evenly as their numbers allow, but for
the latecomers, which are last, so that every run publishes the same sequence. The files lie in `streams/samples/`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files

from streams.records_file import read_records
from streams.settings import Settings, load_settings

FILES = {
    "website": "website.ndjson",
    "stripe": "stripe.ndjson",
    "gmail": "gmail.ndjson",
    "calendar": "calendar.ndjson",
    "shopify": "shopify.ndjson",
    "crm": "crm.csv",
}
"""The file of each source of the samples' settings."""


LATE = ("website", "stripe")
"""Sources whose last record comes late: when all the others are told already."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One source record as it will be published."""

    source: str
    value: bytes


def sample_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the samples' settings, `NEXUS__...` variables laid over them. Raises SettingsError."""
    with as_file(files("streams") / "samples" / "nexus.yaml") as path:
        return load_settings(path, os.environ if environ is None else environ)


def records_of(source: str) -> list[bytes]:
    """Read the records of one source, in the order in which they arrive."""
    with as_file(files("streams") / "samples" / FILES[source]) as path:
        return list(read_records(path))


def arrivals() -> list[Arrival]:
    """Interleave all sources, each spread evenly over the whole; the latecomers are the last."""
    placed = []
    for source in FILES:
        records = records_of(source)
        placed += [((index + 0.5) / len(records), Arrival(source, value)) for index, value in enumerate(records)]
        if source in LATE:
            placed[-1] = (1.0, placed[-1][1])
    return [arrival for _, arrival in sorted(placed, key=lambda one: one[0])]
