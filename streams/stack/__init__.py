"""The local stack: a real Apache Kafka and a real Redis or Valkey as child processes, for trying out and for tests.

Everything that it makes lies in one directory (`.nexus` by default): data, logs, configuration and pid files. The jars of
Kafka lie in a cache outside the repository. No part of the pipeline imports this room; the command line and the tests do.
"""

from __future__ import annotations

from streams.stack.local import Addresses, LocalStack, Part

__all__ = ["Addresses", "LocalStack", "Part"]
