"""The report: what was checked, and where the store or the topics differ from what the event log says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that is not as it should be.

    `kind` is one of a fixed set of words, `redis.founder` or `entities.ghost`; `subject` is whose record it is, `text`
    says what is expected and what was found.
    """

    kind: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a verification. `checked` counts what was compared, `waiting` says what the pipeline was behind with."""

    differences: list[Difference]
    checked: Mapping[str, int]
    seconds: float
    waiting: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything is as the event log says. A pipeline that is still working is not."""
        return not self.differences and not self.waiting

    @property
    def kinds(self) -> dict[str, int]:
        """Count the differences by kind, the most frequent first."""
        return dict(Counter(one.kind for one in self.differences).most_common())

    def examples(self, limit: int) -> dict[str, list[Difference]]:
        """Give the first differences of each kind."""
        found: dict[str, list[Difference]] = {kind: [] for kind in self.kinds}
        for one in self.differences:
            if len(found[one.kind]) < limit:
                found[one.kind].append(one)
        return found

    def lines(self, limit: int) -> Iterator[str]:
        """Write the report for people."""
        for what in self.waiting:
            yield f"still working: {what}"
        for kind, examples in self.examples(limit).items():
            count = self.kinds[kind]
            yield f"{kind}: {count:,} {'difference' if count == 1 else 'differences'}"
            yield from (f"    {one}" for one in examples)
            if count > len(examples):
                yield f"    ... and {count - len(examples):,} more"
        counts = ", ".join(f"{count:,} {what}" for what, count in self.checked.items())
        wrong = f"{len(self.differences):,} differences" if self.differences else "nothing is settled"
        verdict = "ok" if self.ok else f"NOT ok, {wrong}"
        yield f"{verdict}: {counts}; {self.seconds:.1f} s"

    def as_json(self, limit: int) -> dict[str, Any]:
        """Write the report as a JSON object, with so many examples of each kind."""
        examples = self.examples(limit)
        return {
            "ok": self.ok,
            "waiting": self.waiting,
            "differences": {
                kind: {"count": count, "examples": [{"subject": one.subject, "text": one.text} for one in examples[kind]]}
                for kind, count in self.kinds.items()
            },
            "checked": dict(self.checked),
            "seconds": round(self.seconds, 3),
        }
