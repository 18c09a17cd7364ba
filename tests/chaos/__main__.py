"""The command line of the harness: `python -m tests.chaos` holds a campaign, `python -m tests.chaos join` joins reports."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import structlog

from tests.chaos.campaign import Terms, campaign
from tests.chaos.faults import FAULTS
from tests.chaos.report import Report, joined
from tests.chaos.schedule import MOST_SEED, Plan, known, schedule

ROUNDS = 20


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; gives the exit code: 1 when something was not right."""
    if arguments[:1] == ["join"]:
        return join(arguments[1:])
    options = _parser().parse_args(arguments)
    try:
        kinds = known(options.kinds.split(",")) if options.kinds else tuple(FAULTS)
        repeated = Plan.parse(options.repeat) if options.repeat else None
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    seed = repeated.seed if repeated else random.SystemRandom().randrange(MOST_SEED) if options.seed is None else options.seed
    plans = [repeated] * (options.rounds or 1) if repeated else schedule(seed, options.rounds or ROUNDS, kinds)
    directory = Path(options.directory or tempfile.mkdtemp(prefix="nexus-chaos-")).resolve()
    terms = Terms(seed, plans, directory, repeated is not None, options.stop_on_violation)
    say(f"seed {seed}, {len(plans)} rounds, in {directory}")
    return _held(terms, Path(options.report) if options.report else directory / "report.json")


def join(arguments: Sequence[str]) -> int:
    """Write several reports as one table."""
    reports = [Report.read(Path(one)) for one in arguments]
    for line in joined(reports):
        say(line)
    return 1 if any(report.violations or report.stopped for report in reports) else 0


def say(text: str) -> None:
    """Write a line now, for whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _held(terms: Terms, path: Path) -> int:
    terms.directory.mkdir(parents=True, exist_ok=True)
    _log_to(terms.directory / "harness.log")
    try:
        report = asyncio.run(_until_told(terms, path))
    except (asyncio.CancelledError, KeyboardInterrupt):
        say(f"broken off; the report so far is {path}")
        return 130
    for line in joined([report]):
        say(line)
    say(f"the report is {path}")
    shutil.rmtree(terms.directory / "servers", ignore_errors=True)
    return 1 if report.violations else 0


async def _until_told(terms: Terms, path: Path) -> Report:
    """Hold the campaign; a SIGTERM ends it in good order, so that no process is left."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await campaign(terms, say, lambda report: report.write(path))


def _log_to(path: Path) -> None:
    """Keep what our own clients say of a Kafka that is being broken out of sight."""
    logging.basicConfig(filename=path, level=logging.WARNING, force=True, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(path.open("a", encoding="utf-8")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break a pipeline at random, and judge what comes out.")
    parser.add_argument("--seed", type=int, help="of the campaign; a random one when left out")
    parser.add_argument("--rounds", type=int, help=f"how many rounds ({ROUNDS}, or 1 with --repeat)")
    parser.add_argument("--kinds", help=f"only these faults, comma separated: {', '.join(FAULTS)}")
    parser.add_argument("--repeat", metavar="SEED:KIND", help="one round again, as the report of a violation names it")
    parser.add_argument("--report", help="file for the report (report.json in the directory)")
    parser.add_argument("--directory", help="for servers, logs and what is kept (a temporary one)")
    parser.add_argument("--stop-on-violation", action="store_true", help="end with the first round that was not right")
    return parser


if __name__ == "__main__":
    os.environ.pop("NEXUS_CONFIG", None)
    sys.exit(main(sys.argv[1:]))
