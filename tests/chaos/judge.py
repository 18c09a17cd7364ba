"""The judge of chaos rounds: is what came out of the pipeline what the records sent must come to.

Invariant: nothing here comes from the resolver or the stages. `streams.verify`, which is independent of them too,
recomputes the graph from the event log; here the event log itself is compared with the records, and everything that
holds only for a pipeline whose whole history is known. Neighbours: `judge_read` reads, `judge_accounts`,
`judge_positions`, `judge_outputs` and `judge_timeline` compare; a round asks for the judgement when the pipeline says
that it is drained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from streams.settings import Settings
from streams.verify import Difference, verify
from streams.verify.usable import Usable
from tests.chaos.judge_accounts import check_accounts
from tests.chaos.judge_outputs import check_partitions, last_documents
from tests.chaos.judge_positions import check_open, check_positions, check_rounds
from tests.chaos.judge_read import Seen, names_of, observe, open_ends
from tests.chaos.judge_timeline import check_timeline

MOST_LINES = 20
REST_SECONDS = 10.0
"""How long `verify` waits for a pipeline that says that it is drained."""


async def judge(settings: Settings, sent: Sequence[bytes], *, redis_lost_writes: bool, unacknowledged: Sequence[bytes] = ()) -> list[str]:
    """Judge a pipeline at rest; gives what is wrong, one line each, at most `MOST_LINES` of a kind. Empty is right.

    `sent` are the values that Kafka acknowledged; `unacknowledged` may have arrived or not. `redis_lost_writes` says
    whether it ever did: only then may changes have been told again. Raises when Kafka or Redis does not answer.
    """
    still_open = list(check_open(await open_ends(settings)))
    seen = await observe(settings)
    report = await verify(settings, wait_seconds=REST_SECONDS)
    return list(
        lines(
            [
                *(Difference("pipeline.working", settings.space, what) for what in report.waiting),
                *still_open,
                *check_accounts(seen, sent, names_of(settings), unacknowledged),
                *check(settings, seen, redis_lost_writes=redis_lost_writes),
                *report.differences,
            ]
        )
    )


def check(settings: Settings, seen: Seen, *, redis_lost_writes: bool) -> Iterator[Difference]:
    """Compare what was read with itself."""
    yield from check_positions(seen)
    yield from check_rounds(seen)
    yield from check_partitions(seen, Usable(settings), settings.partitions)
    yield from check_timeline(seen.topics["timeline"], last_documents(seen.topics["entities"]), redis_lost_writes=redis_lost_writes)


def lines(differences: Iterable[Difference]) -> Iterator[str]:
    """Write what was found, at most `MOST_LINES` of a kind and the number of the others."""
    counts: dict[str, int] = {}
    for one in differences:
        counts[one.kind] = counts.get(one.kind, 0) + 1
        if counts[one.kind] <= MOST_LINES:
            yield f"{one.kind}: {one}"
    for kind, count in counts.items():
        if count > MOST_LINES:
            yield f"{kind}: ... and {count - MOST_LINES:,} more"
