"""The stream that every case runs: few records, and in them everything that can go wrong when one is done twice or never.

Persons merge across two partitions, a membership moves with them and another with a group, an event comes twice, a
late one moves a founder, one record is none, and so is one of the event log.
"""

from __future__ import annotations

import msgspec

from resolvers.errors import Rejected
from streams.events import Event, Membership, decode_event, encode_event
from streams.record import SourceRecord
from tests.histories import event, group, person

ANN = event("e1", "9:00", person("user_id:1", "email:ann@x.example", traits={"name": "Ann"}))
BO = event("e2", "9:10", person("user_id:2", "email:bo@x.example"), group("domain:x.example"), memberships=[Membership(0, 1, "owner")])
SHOP = event("e3", "9:20", person("user_id:2"), group("shop:7"), memberships=[Membership(0, 1, "buyer")])
BO_IS_ANN = event("e4", "9:30", person("email:ann@x.example", "email:bo@x.example", traits={"name": "Ann Bo", "plan": "free"}))
SHOP_IS_X = event("e5", "9:40", group("domain:x.example", "shop:7", traits={"name": "X"}))
LATE = event("e6", "8:00", person("device:d", "user_id:2", traits={"name": "too old", "plan": "trial"}))
LATER = event("e7", "9:50", person("user_id:1", traits={"plan": "paid"}), group("shop:7"), memberships=[Membership(0, 1, "admin")])

EVENTS = (ANN, BO, SHOP, BO_IS_ANN, SHOP_IS_X, LATE, LATER)
NO_RECORD = b"not an event"
NO_EVENT = b"{}"

RAW = (
    (encode_event(ANN), NO_RECORD, encode_event(BO), encode_event(SHOP_IS_X), encode_event(ANN)),
    (encode_event(SHOP), encode_event(BO_IS_ANN), encode_event(LATE), encode_event(LATER)),
)
"""The raw topic's partitions."""


def adapter(record: SourceRecord) -> list[Event]:
    """Read a record as the event that it is."""
    try:
        return [decode_event(record.value or b"")]
    except msgspec.DecodeError as error:
        raise Rejected(f"no event: {error}") from error
