"""Tracing: the trace context of a raw record, carried in Kafka headers to what came of it, and the spans of the stages.

Invariant: keys and values are the same with and without it; only headers differ, and losing one loses nothing else. No span holds
an identifier's value. Neighbours: `app` makes it from the settings; adapt, resolve and publish are handed their part.
"""
