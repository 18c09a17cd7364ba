"""The same sightings resolved by this project's graph in Redis and by batch programs, with the partitions compared.

A peer is a program that puts identifiers which were seen together into one entity. Each gets the same files of records, writes the same
table of identifiers and entities, and is timed in a process of its own. Run with `python -m benchmarks.peers`.
"""
