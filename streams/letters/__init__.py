"""Letters: the dead-letters topic as its reader sees it, and the way back for what lies there.

Modules in the order in which a letter is used: `letter` reads one, `selection` chooses, `ledger` says of a whole topic
which letters there are and which went back already, `reading` asks Kafka, `replay` sends.

Invariant: a letter and its receipt are written in one transaction, and only by whoever has read the receipts after
fencing every other; so a letter goes back once, however often it is asked for.
Neighbours: `streams.dead_letters` writes what is read here; the stages read what is sent back.
"""

from __future__ import annotations

from streams.letters.letter import Letter, Name, Original, Receipt, original
from streams.letters.reading import Found, find, read_ledger
from streams.letters.replay import Replay, Report
from streams.letters.selection import Selection, moment
from streams.letters.transaction import told_already

__all__ = [
    "Found",
    "Letter",
    "Name",
    "Original",
    "Receipt",
    "Replay",
    "Report",
    "Selection",
    "find",
    "moment",
    "original",
    "read_ledger",
    "told_already",
]
