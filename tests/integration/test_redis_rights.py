"""What a user of Redis may do, asked of a real server: what is missing is named, and nothing is written."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from resolvers.errors import SettingsError
from resolvers.redis_rights import READING, missing_rights, rights
from streams.finding import Finding
from streams.graph import open_graph
from streams.poison import blames_a_record
from streams.redis_checkup import examine_redis, examine_space
from streams.settings import Settings, settings_from
from streams.stack.ports import free_ports
from streams.stack.redis_server import redis_program

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "secure.md"
BASE = "nexus:{s}"
ALL = [name for name in rights(BASE) if name != READING]
DOCUMENTED = "resetkeys ~nexus:{s} ~nexus:{s}:* resetchannels -@all +@connection " + " ".join(f"+{name}" for name in rights(BASE))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a server of these tests' own, whose users they may change; gives its port."""
    directory = tmp_path_factory.mktemp("rights")
    (port,) = free_ports(1)
    flags = ("--port", str(port), "--save", "", "--dir", str(directory), "--maxmemory-policy", "noeviction")
    with (directory / "redis.log").open("wb") as log, subprocess.Popen([str(redis_program()), *flags], stdout=log, stderr=log) as process:
        try:
            yield port
        finally:
            process.terminate()


@pytest.fixture
async def port(server: int) -> AsyncIterator[int]:
    """Give the port once the server answers; nothing is in it."""
    client: Redis = Redis(port=server)
    async with asyncio.timeout(10):
        while not await _emptied(client):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.02)
    yield server
    await client.aclose()


async def _emptied(client: Redis) -> bool:
    try:
        return bool(await client.flushall()) and bool(await client.script_flush())
    except RedisError:
        return False


async def settings_of(port: int, user: str) -> Settings:
    """Make a user with these rights; gives settings that name it."""
    client: Any = Redis(port=port)
    await client.execute_command("ACL", "SETUSER", "nexus", "reset", "on", ">x", *user.split())
    await client.aclose()
    return settings_from({"space": "s", "redis": {"url": f"redis://nexus:x@127.0.0.1:{port}/0", "buckets": 16}})


async def levels(settings: Settings) -> dict[str, str]:
    return {one.what: one.level for one in await examine_redis(settings)}


async def rights_found(port: int, user: str) -> Finding:
    (found,) = [one for one in await examine_redis(await settings_of(port, user)) if one.what == "redis rights"]
    return found


def test_the_user_of_the_how_to_has_just_the_rights_that_are_asked_for() -> None:
    (line,) = re.findall(r"^user nexus on .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    allowed = {word.removeprefix("+") for word in line.split() if word.startswith("+")}
    assert allowed - {"@connection"} == set(rights(BASE)) - {"ping"}  # which is a command of connections


async def test_the_user_of_the_how_to_lacks_nothing_and_may_make_a_space(port: int) -> None:
    settings = await settings_of(port, DOCUMENTED)
    found = await levels(settings)
    assert found.pop("redis allocator", "warning") == "warning"  # it is the server's that is installed
    assert found == {
        "redis": "ok",
        "redis security": "warning",
        "redis maxmemory-policy": "ok",
        "redis appendonly": "warning",
        "redis rights": "ok",
    }
    assert [(one.level, one.what) for one in await examine_space(settings)] == [("warning", "space"), ("ok", "clocks")]
    async with open_graph(settings):
        assert [(one.level, one.what) for one in await examine_space(settings)] == [("ok", "space"), ("ok", "clocks")]


async def test_nothing_is_written_to_find_out(port: int) -> None:
    await examine_redis(await settings_of(port, "allkeys allcommands"))
    client: Redis = Redis(port=port)
    assert await client.dbsize() == 0
    await client.aclose()


@pytest.mark.parametrize("name", [name for name in ALL if name not in {"info", "evalsha", "script|load"}])
async def test_each_right_that_is_missing_is_named(port: int, name: str) -> None:
    found = await rights_found(port, f"{DOCUMENTED} -{name}")
    assert (found.level, found.text.split(";")[0]) == ("error", f"a worker is not allowed +{name}")


async def test_what_workers_do_without_is_a_warning(port: int) -> None:
    found = await rights_found(port, f"{DOCUMENTED} -type")
    assert (found.level, "nexus verify" in found.text) == ("warning", True)


async def test_other_keys_are_named_as_such(port: int) -> None:
    found = await rights_found(port, DOCUMENTED.replace("~nexus:{s}:*", "~nexus:{other}:*"))
    assert (found.level, found.text.split(";")[0]) == ("error", "a worker is not allowed its keys, nexus:{s} and nexus:{s}:*")


@pytest.mark.parametrize("name", ["evalsha", "script|load"])
async def test_a_user_who_may_run_no_scripts_is_told_so(port: int, name: str) -> None:
    found = await rights_found(port, f"{DOCUMENTED} -{name}")
    assert found.level == "error"
    assert f"'{name}'" in found.text
    assert "allow +evalsha and +script|load" in found.text


async def test_who_may_not_see_info_is_told_so_and_the_rest_is_looked_at(port: int) -> None:
    settings = await settings_of(port, f"{DOCUMENTED} -info")
    found = {one.what: one for one in await examine_redis(settings)}
    assert (found["redis"].level, found["redis version"].level) == ("ok", "error")
    assert "INFO is not allowed" in found["redis version"].text
    assert found["redis rights"].text.startswith("a worker is not allowed +info")


async def test_a_wrong_password_is_told_as_such(port: int) -> None:
    settings = await settings_of(port, DOCUMENTED)
    wrong = settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": f"redis://nexus:guess@127.0.0.1:{port}/0"})})
    (found,) = await examine_redis(wrong)
    assert (found.level, "does not let us in" in found.text) == ("error", True)


@pytest.mark.parametrize(("user", "named"), [("-hset", "'hset'"), ("-evalsha", "'evalsha'"), ("resetkeys ~other", "key")])
async def test_a_worker_that_misses_a_right_says_which(port: int, user: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named) as raised:
        async with open_graph(await settings_of(port, f"{DOCUMENTED} {user}")):
            pass
    assert "does not allow what is needed" in str(raised.value)
    assert "nexus doctor" in str(raised.value)


async def test_a_right_that_is_taken_away_is_no_fault_of_a_record(port: int) -> None:
    async with open_graph(await settings_of(port, DOCUMENTED)) as graph:
        await settings_of(port, f"{DOCUMENTED} -hlen")
        with pytest.raises(SettingsError, match="run the 'hlen' command; `nexus doctor`") as raised:
            await graph.backlog()
    assert not blames_a_record(raised.value)


async def test_what_a_space_was_made_with_otherwise_is_said_as_a_worker_says_it(port: int) -> None:
    settings = await settings_of(port, DOCUMENTED)
    async with open_graph(settings):
        pass
    other = settings.model_copy(update={"identity_key": settings_from({"identity_key": "another one"}).identity_key, "partitions": 3})
    said = [one.text for one in await examine_space(other) if one.level == "error"]
    assert [text.partition("was made with ")[2].split()[0] for text in said] == ["shards", "identity_key"]
    with pytest.raises(Exception, match="fixed when a space is born") as raised:
        async with open_graph(other):
            pass
    assert said[0].partition("was made with ")[2] in str(raised.value)
    client: Redis = Redis(port=port)
    await client.delete("nexus:{s}:meta")
    await client.aclose()
    assert "deleted in part" in (await examine_space(settings))[0].text


async def test_missing_rights_need_scripts(port: int) -> None:
    settings = await settings_of(port, "resetkeys +@connection")
    client: Redis = Redis.from_url(settings.redis.url)
    with pytest.raises(NoPermissionError):
        await missing_rights(client, BASE)
    await client.aclose()
