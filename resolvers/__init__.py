"""Who is who: the rules of identity resolution, and the stores that keep its graph.

Nothing in this package imports `streams`; the rules import no Redis, Kafka, Faust, clock or environment.
"""
