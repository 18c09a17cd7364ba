"""Verifying: everything once more from the event log, by a plain method, compared with Redis and the topics.

Invariant: nothing here comes from the resolver, so that a mistake there does not repeat here; nothing is written
anywhere. `recompute` says what should be; `dump`, `compacted` and `compare_timeline` hold what is; the `compare_`
modules find the differences.
"""

from __future__ import annotations

from streams.verify.report import Difference, Report
from streams.verify.verification import verify

__all__ = ["Difference", "Report", "verify"]
