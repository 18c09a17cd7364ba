"""The reference page of the metrics, generated from the table: `python -m streams.metrics.reference`.

Invariant: the page says nothing that the table does not. Neighbours: docs/reference/metrics.md, which a test keeps equal.
"""

from __future__ import annotations

import sys

from streams.metrics.exposition import LABELS
from streams.metrics.table import METRICS, Kind

HEAD = """\
# Metrics

Generated from the code by `python -m streams.metrics.reference > docs/reference/metrics.md`; do not edit.

A worker serves them at `/metrics` of its admin port (`worker.admin_port`), in the form that Prometheus reads; beside
them are `process_...` and `python_gc_...` of the client library. Counts begin at 0 when a worker starts. No label ever
holds an identifier or text of a record: each takes its values from a closed set, and what is outside of it is shown
as `other`. A dashboard, alerts and a configuration to start from are in
[deploy/monitoring](../../deploy/monitoring/README.md).
"""

TITLES = {Kind.COUNTER: "Counters", Kind.HISTOGRAM: "Histograms", Kind.GAUGE: "Gauges"}


def page() -> str:
    """Return the whole page as Markdown."""
    lines = [HEAD]
    for kind, title in TITLES.items():
        lines += [f"## {title}", "", "| name | unit | labels | meaning |", "|---|---|---|---|"]
        for metric in METRICS:
            if metric.kind is kind:
                labels = ", ".join(f"`{label}`" for label in metric.labels)
                lines.append(f"| `{metric.exposed}` | {metric.unit} | {labels} | {metric.meaning} |")
        lines.append("")
    lines += ["## Labels", "", "| label | values |", "|---|---|"]
    lines += [f"| `{label}` | {values} |" for label, values in LABELS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
