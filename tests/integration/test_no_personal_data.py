"""No personal data in logs, metrics, health or errors: marked values go through everything that can go wrong, and are looked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest

from streams.crew import Worker
from streams.settings import Settings, settings_from
from streams.stack import Addresses
from streams.stack.ports import free_ports
from streams.topics import delete_topics
from tests.integration.test_stages import Pipeline, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

MARK = "zq7mark"
"""In every value that belongs to somebody, but for phone numbers."""

PHONES = ("+14155550101", "+14155550199")
PRIVATE = (MARK, *(phone[-10:] for phone in PHONES))
"""What nobody may be told: of a phone number its national digits, which are left however it is written."""

ADAPTER = """
from streams.events import Event, Identifier, Participant

def adapt(record):
    text = record.value.decode()
    if "raise" in text:
        raise KeyError(text)
    if "chain" in text:
        try:
            raise ValueError(text)
        except ValueError as error:
            raise RuntimeError("with " + text) from error
    person = Participant("person", identifiers=[Identifier("user_id", text)])
    return [Event(event_id=text, source="own", name="seen", occurred_at="2024-05-01T00:00:00Z", participants=[person])]
"""


def person(number: int, **fields: Any) -> bytes:
    document = {"id": f"{MARK}-event-{number}", "at": 1_700_000_000 + number, "name": f"{MARK} name", "plan": f"{MARK} plan", **fields}
    return json.dumps(document).encode()


def crm() -> list[bytes]:
    """Give good records, ones that merge, ones that guards keep apart, and ones that are rejected in every way."""
    good = [person(number, user=f"{MARK}-u{number}", email=f"{MARK}.{number}@quill.example") for number in range(20)]
    merging = [person(30, user=f"{MARK}-u1", phone=PHONES[0]), person(31, user=f"{MARK}-u2", phone=PHONES[0])]
    shared = [person(40 + number, user=f"{MARK}-shared{number}", email=f"{MARK}.desk@quill.example") for number in range(8)]
    over = [person(60 + number, user=f"{MARK}-over{number}", phone=PHONES[1]) for number in range(5)]
    bad = [
        f"{MARK} is no JSON".encode(),
        f'["{MARK}"]'.encode(),
        f'{{"id": "{MARK}", '.encode(),
        person(50, user=f"{MARK}-u", at=f"{MARK} o'clock"),
        person(51, user=f"{MARK}-u", at=99_999_999_999),
        person(52, user={MARK: MARK}),
        person(53, user=[f"{MARK}-{number}" for number in range(2_000)]),
        person(54, user=f"{MARK}-u", at=None),
        b"\xff" + MARK.encode(),
    ]
    return good + merging + shared + over + bad


def events() -> list[bytes | None]:
    """Give records of the event log that are none, or none that can be resolved."""
    event = {"event_id": f"{MARK}-e", "source": f"{MARK}-source", "name": MARK, "occurred_at": "2024-05-01T00:00:00Z"}
    who = {"entity": "person", "identifiers": [{"type": "user_id", "value": f"{MARK}-x"}]}
    deep: Any = MARK
    for _ in range(200):
        deep = [deep]
    return [
        MARK.encode(),
        json.dumps({**event, "occurred_at": f"{MARK} o'clock"}).encode(),
        json.dumps({**event, "participants": [{**who, "traits": {"deep": deep}}]}).encode(),
        json.dumps({**event, "participants": [{**who, "traits": {f"{MARK}" * 1_000: 1}}]}).encode(),
        json.dumps({**event, "memberships": [{"member": 7, "group": 8}]}).encode(),
        json.dumps({**event, "participants": [{"entity": MARK, "identifiers": [{"type": MARK, "value": MARK}]}]}).encode(),
        json.dumps({**event, "participants": [{**who, "states": {"billing_plan": f"{MARK} not allowed"}}]}).encode(),
        None,
    ]


def commands() -> list[bytes]:
    """Give a command that is obeyed, and some that can't be."""
    named = {"entity": "person", "type": "email", "value": f"{MARK}.desk@quill.example"}
    command = {"command_id": f"{MARK}-c", "command": "block", "identifiers": [named], "issued_at": "2024-05-01T00:00:00Z"}
    return [
        json.dumps(command).encode(),
        json.dumps({**command, "command": MARK}).encode(),
        json.dumps({**command, "issued_at": MARK}).encode(),
        json.dumps({**command, "identifiers": [{**named, "type": MARK}]}).encode(),
        MARK.encode(),
    ]


@pytest.fixture
async def pipeline(stack: Addresses, tmp_path: Path) -> AsyncIterator[Pipeline]:
    own = uuid4().hex[:8]
    settings = settings_from(
        {
            "space": f"quiet-{own}",
            "partitions": 2,
            "kafka": {"bootstrap_servers": stack.bootstrap_servers},
            "redis": {"url": stack.redis_url, "buckets": 16},
            "topics": {"prefix": f"quiet-{own}."},
            "entities": {
                "person": {
                    "identifiers": {
                        "user_id": {"limit": 3},
                        "email": {"normalise": "email", "hub": {"of": "user_id", "over": 5}},
                        "phone": {"normalise": "phone"},
                    },
                    "size": 10,
                }
            },
            "states": [{"name": "billing_plan", "entity": "person", "values": ["free", "paid"]}],
            "sources": {
                "crm": {
                    "topic": f"quiet-{own}.raw",
                    "adapter": "mapping",
                    "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
                    "participants": [
                        {
                            "entity": "person",
                            "identifiers": {"user_id": "user", "email": "email", "phone": "phone"},
                            "traits": {"name": "name"},
                            "states": {"billing_plan": "plan"},
                        }
                    ],
                },
                "own": {"topic": f"quiet-{own}.own", "adapter": "own_adapter_of_the_test:adapt"},
            },
        }
    )
    (tmp_path / "own_adapter_of_the_test.py").write_text(ADAPTER)
    pipeline = Pipeline(settings, tmp_path)
    yield pipeline
    for worker in pipeline.workers:
        await worker.kill()
    await delete_topics(settings)


def telling(lines: list[str]) -> list[str]:
    """Find the lines that have something private in them."""
    return [line for line in lines if any(word in line for word in PRIVATE)]


def admin(settings: Settings, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{settings.worker.admin_port}{path}") as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("debug", [False, True], ids=["usual", "debugging"])
async def test_nothing_of_a_record_is_in_what_a_worker_says(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, *, debug: bool) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pipeline.directory))
    (port,) = free_ports(1)
    own = pipeline.settings.worker.model_copy(update={"admin_port": port})
    settings = pipeline.settings = pipeline.settings.model_copy(update={"worker": own})
    worker = await Worker.start(settings, pipeline.directory, "worker", options=["--debug", "--json"] if debug else [])
    pipeline.workers.append(worker)
    await worker.ready()
    await pipeline.write(crm())
    await pipeline.write([f"{MARK}-{word}".encode() for word in ("raise", "fine", "chain")], topic=settings.sources["own"].topic)
    await pipeline.write(events(), topic=settings.topic("events"))
    await pipeline.write(list(commands()), topic=settings.topic("commands"), key=MARK.encode())
    await pipeline.drained()

    letters = await pipeline.read("dead-letters")
    assert len(letters) > 15
    assert MARK in str(letters)
    applied = str(await pipeline.read("events"))
    assert all(phone in applied for phone in PHONES)

    async def counted() -> bool:
        return "nexus_redis_used_memory_bytes" in await asyncio.to_thread(admin, settings, "/metrics")

    await until(counted)
    told = [await asyncio.to_thread(admin, settings, path) for path in ("/metrics", "/livez", "/readyz")]
    metrics = told[0]
    assert 'nexus_dead_letters_total{reason="malformed",source="crm"}' in metrics
    assert 'nexus_dead_letters_total{reason="failure",source="own"} 2.0' in metrics
    assert 'nexus_merges_total{again="no"} 0.0' not in metrics
    assert 'nexus_merges_refused_total{again="no",guard="limit"} 0.0' not in metrics
    others = {line.split("{")[0] for line in metrics.splitlines() if '="other"' in line}
    assert others == {"nexus_events_resolved_total", "nexus_events_without_usable_identifier_total"}  # of a source that there is not
    assert telling([line for text in told for line in text.splitlines()]) == []

    await worker.stop()
    lines = worker.lines()
    assert [line for line in lines if "an adapter failed" in line]
    assert telling(lines) == []
