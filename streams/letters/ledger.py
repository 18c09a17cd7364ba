"""The ledger: which letters there are on a dead-letters topic, and which went back already.

Invariant: a pure fold over the topic's records, in any order of its partitions. Letters of one record are one letter,
the oldest of them; a receipt counts for its record. Memory is below a kilobyte a letter: no bytes of records are
kept, and reasons only as far as they are shown.
Neighbours: `reading` fills it from Kafka, `replay` and the command line ask it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from aiokafka.structs import ConsumerRecord

from streams.dead_letters import is_receipt
from streams.letters.letter import Identity, Letter, Name, Receipt, letter_of, name_of, receipt_of
from streams.letters.selection import Selection

REASON_KEPT = 300
"""Characters of a reason that are kept to be shown; a selection sees all of it."""


class Ledger:
    """Letters and receipts of a topic, and which of the letters a selection asks for."""

    def __init__(self, selection: Selection) -> None:
        """Begin with an empty topic."""
        self._selection = selection
        self._letters: dict[Identity, Letter] = {}
        self._matching: set[Identity] = set()
        self._went_back: set[Identity] = set()
        self._receipts: dict[Identity, list[Receipt]] = {}
        self._named: dict[Name, Identity] = {}
        self._words: dict[str, str] = {}

    def add(self, record: ConsumerRecord) -> None:
        """Take note of a record of the topic."""
        if not is_receipt(record.headers):
            self._add_letter(letter_of(record))
            return
        receipt = receipt_of(record)
        if receipt is None:
            return
        self._went_back.add(receipt.record)
        if self._selection.names:
            self._receipts.setdefault(receipt.record, []).append(receipt)
        if name_of(record) in self._selection.names:
            self._named[name_of(record)] = receipt.record

    def _add_letter(self, letter: Letter) -> None:
        if letter.name in self._selection.names:
            self._named[letter.name] = letter.record
        known = self._letters.get(letter.record)
        if known is not None and known.order <= letter.order:
            return
        if self._selection.matches(letter):
            self._matching.add(letter.record)
        else:
            self._matching.discard(letter.record)
        source, reason = (self._words.setdefault(text, text) for text in (letter.source, _shortened(letter.reason)))
        self._letters[letter.record] = replace(letter, source=source, reason=reason)

    def letters(self) -> list[Letter]:
        """Give the letters that the selection asks for, the oldest first."""
        if self._selection.names:
            chosen: Iterable[Identity] = set(self._named.values()) & self._letters.keys()
        else:
            chosen = self._matching
        return sorted((self._letters[record] for record in chosen), key=lambda letter: letter.order)

    def missing(self) -> list[Name]:
        """Give the names that were asked for and are no letter, its copy or its receipt."""
        return sorted(name for name in self._selection.names if self._named.get(name) not in self._letters)

    def receipts(self, letter: Letter) -> list[Receipt]:
        """Give the receipts of a letter, the oldest first; they are kept where letters are chosen by name."""
        return sorted(self._receipts.get(letter.record, ()), key=lambda receipt: receipt.time)

    def went_back(self, letter: Letter) -> bool:
        """Say whether a letter was replayed."""
        return letter.record in self._went_back

    def sources(self) -> dict[str, int]:
        """Count all letters by source, the most frequent first."""
        return dict(Counter(letter.source for letter in self._letters.values()).most_common())


def _shortened(reason: str) -> str:
    return reason if len(reason) <= REASON_KEPT else reason[: REASON_KEPT - 3] + "..."
