"""`python -m reelroom.fleet --data D --run R --workers N`: the fork server as a process. Parses arguments only."""

from __future__ import annotations

import argparse
from pathlib import Path

from reelroom import logs
from reelroom.fleet.forkserver import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="reelroom.fleet", description="Fork recorders for this machine.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--run", type=Path, required=True, help="the folder of the sockets")
    parser.add_argument("--workers", type=int, default=1, help="how many ingest processes there are")
    parser.add_argument("--hardware", default="", help="encoders of mixes to try first: nvenc,vaapi,qsv")
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--log-format", default="console", choices=("console", "json"))
    given = parser.parse_args()
    logs.setup("fleet", given.log_level, given.log_format)
    run(given.data, given.run, given.workers, tuple(filter(None, given.hardware.split(","))))


if __name__ == "__main__":
    main()
