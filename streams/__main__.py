"""Run the command line as `python -m streams`."""

from __future__ import annotations

from streams.cli import main

if __name__ == "__main__":
    main()
