"""Is the bot as quick and as small as it should be? `python -m benchmarks.goals`.

A package, because a worker process that is spawned imports what was started, unless it is a `__main__.py`: a worker that is
measured shall import what the bot's workers do and nothing else.
"""
