"""The only code that knows Redis.

One Lua script per atomic step (`lua/`), bound by name (`scripts.py`), called over one connection (`connection.py`)
by a few classes whose methods carry the scripts' verbs:

```
JobStore        enqueue ▸ claim ▸ renew ▸ detach │ release │ settle ▸ purge      read, list, delete
QueueStore      configure, read            WorkerStore     put, read, delete
ScheduleStore   put, due, fire, delete     LeadershipStore register, hold, resign
```

Every script may be repeated with the same arguments: a lost reply costs a second look, never a second job.
"""
