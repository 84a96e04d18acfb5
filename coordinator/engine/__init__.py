"""What goes on in a replica.

```
 HTTP API ──▶ intake ──▶ store ──"due"──▶ dispatcher: claim ▸ call ▸ settle
    └ receipt ─▶ settler ─▶ store              ▲ wake      │
 poller (for the shards that leadership gave it): expire, fire, purge, wake
```

Replicas are equal and keep nothing: what one holds, others can see in the store and take over.
"""
