"""The metrics: what a worker tells Prometheus of itself, from one table.

Invariant: no label holds an identifier, or text that somebody wrote into a record; every value of a label comes from a set
that settings and code close. Neighbours: stages count in `counters`; `admin` serves what `exposition` writes.
"""
