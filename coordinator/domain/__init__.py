"""Values and decisions of the coordinator.

Nothing here does I/O, awaits or reads a clock: time and chance come in as parameters, and what goes out is a
value that names itself. Durations are integer milliseconds (`*_ms`), instants are integer Unix milliseconds
(`*_at`) of the Redis server's clock.
"""
