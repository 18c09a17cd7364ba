"""The demo: the whole pipeline on sample records of six sources, on a stack of its own, and who came out and why.

Invariant: it is the pipeline as it is, with a real worker, Kafka and Redis; nothing is left behind. Neighbours:
`samples` says what is published, `session` runs it, `findings` reads the output topics, `nexus demo` shows it.
"""

from __future__ import annotations

from streams.demo.findings import Correction, Findings, Found, KnownIdentifier, Letter, Reason, Unheard
from streams.demo.session import Audience, Outcome, hold

__all__ = ["Audience", "Correction", "Findings", "Found", "KnownIdentifier", "Letter", "Outcome", "Reason", "Unheard", "hold"]
