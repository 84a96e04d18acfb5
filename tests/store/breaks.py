"""Ways to break a shard by hand for test_checkup.py: the commands, and exactly what the doctor has to find then."""

BREAKS = {
    # Indexes that lack a job.
    "a line lost one": ("ZREM {root}:waiting:default {plain}", [("job_not_in_index", "job:{plain}")]),
    "a line of a key was lost": (
        "DEL {root}:waiting:shop#a",
        [("job_not_in_index", "job:{keyed}"), ("lane_without_job", "lanes:shop")],
    ),
    "a line of a priority was lost": ("DEL {root}:waiting0:default", [("job_not_in_index", "job:{urgent}")]),
    "the list of all lines lost one": ("ZREM {root}:spread:shop {keyed}", [("job_not_in_index", "job:{keyed}")]),
    "the list of those that failed was lost": ("DEL {root}:retrying:default", [("job_not_in_index", "job:{failed}")]),
    "the expiries were lost": ("DEL {root}:expiries", [("job_not_in_index", "job:{expiring}")]),
    "what runs was lost": (
        "DEL {root}:running:shop",
        [("job_not_in_index", "job:{detached}"), ("job_not_in_index", "job:{held}")],
    ),
    "a slot was lost": ("DEL {root}:busy:shop#b", [("job_not_in_index", "job:{held}")]),
    "a finished one was lost": ("DEL {root}:succeeded:default", [("job_not_in_index", "job:{done}")]),
    "a dead one was lost": ("ZREM {root}:dead:default {dead}", [("job_not_in_index", "job:{dead}")]),
    "a cancelled one was lost": ("DEL {root}:cancelled:default", [("job_not_in_index", "job:{gone}")]),
    "a tag lost one": ("DEL {root}:tag:night", [("job_not_in_index", "job:{tagged}")]),
    "a schedule lost a run": ("DEL {root}:runs:{schedule}", [("job_not_in_index", "job:{run}")]),
    "a schedule lost a live run": ("DEL {root}:live:{schedule}", [("job_not_in_index", "job:{run}")]),
    "a batch lost a job": ("DEL {root}:members:{batch}", [("job_not_in_index", "job:{member}")]),
    # Scores.
    "one stands too late": ("ZADD {root}:waiting:default 2100000000000 {plain}", [("wrong_score", "job:{plain}")]),
    "one is listed too late": ("ZADD {root}:spread:shop 1 {keyed}", [("wrong_score", "job:{keyed}")]),
    "a lease is longer than the deadline": (
        "ZADD {root}:running:shop 2100000000000 {held}",
        [("wrong_score", "job:{held}")],
    ),
    "what nobody holds ends before its deadline": (
        "ZADD {root}:running:shop 1 {detached}",
        [("wrong_score", "job:{detached}"), ("wheel_late", "deadlines")],
    ),
    "one ended at another time": ("ZADD {root}:dead:default 1800000000001 {dead}", [("wrong_score", "job:{dead}")]),
    "one expires at another time": ("ZADD {root}:expiries 1 {expiring}", [("wrong_score", "job:{expiring}")]),
    # Indexes that have what is not theirs.
    "one waits twice": (
        "ZADD {root}:waiting1:default 5 {plain}",
        [("job_in_two_indexes", "waiting1:default"), ("unknown_line", "queue:default")],
    ),
    "one that is dead waits": (
        "ZADD {root}:waiting:default 1800000000000 {dead}",
        [("job_in_two_indexes", "waiting:default")],
    ),
    "one waits in another's lane": (
        "ZADD {root}:spread:default 1800000000000 {plain}",
        [("job_in_two_indexes", "spread:default")],
    ),
    "one that waits runs": (
        "ZADD {root}:running:default 1800000000000 {plain}",
        [("slot_without_job", "running:default"), ("wheel_late", "deadlines")],
    ),
    "one that waits has a slot": ("ZADD {root}:busy:shop#a 1 {keyed}", [("slot_without_job", "busy:shop#a")]),
    "one that waits has ended": (
        "ZADD {root}:succeeded:default 1800000000000 {plain}",
        [("job_in_two_indexes", "succeeded:default")],
    ),
    "one that has ended lives": ("ZADD {root}:live:{schedule} 1 {done}", [("job_in_two_indexes", "live:{schedule}")]),
    "one has a tag that is not its own": ("ZADD {root}:tag:night 1 {plain}", [("job_in_two_indexes", "tag:night")]),
    "one that lives is to be told of": ("ZADD {root}:outbox 1 {plain}", [("job_in_two_indexes", "outbox")]),
    "nobody is to be told of": ("ZADD {root}:outbox 1 {unknown}", [("entry_without_job", "outbox")]),
    "nobody waits": (
        "ZADD {root}:waiting:default 1800000000000 {unknown}",
        [("entry_without_job", "waiting:default")],
    ),
    "nobody has a slot": ("ZADD {root}:busy:shop#b 1 {unknown}", [("slot_without_job", "busy:shop#b")]),
    "nobody runs": (
        "ZADD {root}:running:shop 1900000000000 {unknown}",
        [("slot_without_job", "running:shop")],
    ),
    "nobody expires": ("ZADD {root}:expiries 1 {unknown}", [("entry_without_job", "expiries")]),
    # Jobs.
    "one has no state": ("HDEL {root}:job:{plain} state", [("job_incomplete", "job:{plain}")]),
    "one has a state of its own": ("HSET {root}:job:{plain} run_at x", [("job_incomplete", "job:{plain}")]),
    "one runs without a deadline": ("HDEL {root}:job:{held} deadline_at", [("job_incomplete", "job:{held}")]),
    "one runs without a nonce": ("HDEL {root}:job:{detached} nonce", [("job_incomplete", "job:{detached}")]),
    "one runs and was never begun": ("HSET {root}:job:{held} attempt 0", [("job_incomplete", "job:{held}")]),
    "one has ended without an end": ("HDEL {root}:job:{done} finished_at", [("job_incomplete", "job:{done}")]),
    "one has no lane": ("HDEL {root}:job:{keyed} lane", [("job_incomplete", "job:{keyed}")]),
    "one has nothing but its spec": (
        "HDEL {root}:job:{keyed} lane state attempt run_at created_at timeout_ms",
        [("job_incomplete", "job:{keyed}")],
    ),
    "one has no spec": ("HDEL {root}:job:{tagged} spec", [("job_without_spec", "job:{tagged}")]),
    "one that runs has no spec": ("HDEL {root}:job:{held} spec", [("job_without_spec", "job:{held}")]),
    "one that waits has a holder": ("HSET {root}:job:{plain} holder r1", [("holder_of_nothing", "job:{plain}")]),
    "attempts outlived their job": (
        "RPUSH {root}:attempts:{unknown} {{}}",
        [("orphaned_attempts", "attempts:{unknown}")],
    ),
    # Wheels.
    "a lane is not in its wheel": ("ZREM {root}:lanes:shop shop#a", [("wheel_late", "lanes:shop")]),
    "a lane stands for ever": ("ZADD {root}:lanes:shop inf shop#a", [("wheel_late", "lanes:shop")]),
    "a wheel of lanes was lost": ("DEL {root}:lanes:default", [("wheel_late", "lanes:default")]),
    "a lane without jobs stands for ever": (
        "ZADD {root}:lanes:shop inf shop#z",
        [("lane_without_job", "lanes:shop")],
    ),
    "a queue is not in its wheel": ("ZREM {root}:queues shop", [("wheel_late", "queues")]),
    "a queue stands too late": ("ZADD {root}:queues 1800000005000 default", [("wheel_late", "queues")]),
    "deadlines were lost": ("DEL {root}:deadlines", [("wheel_late", "deadlines")]),
    "a deadline is late": ("ZADD {root}:deadlines 1800000060001 shop", [("wheel_late", "deadlines")]),
    "a purge is late": ("ZADD {root}:purges 1900000000000 dead:default", [("wheel_late", "purges")]),
    "a line is not known": ("HDEL {root}:queue:default priorities", [("unknown_line", "queue:default")]),
    # Schedules.
    "a schedule is not listed": (
        "DEL {root}:schedule_ids",
        [("schedule_not_listed", "schedule:{schedule}"), ("schedule_not_listed", "schedule:{tickless}")],
    ),
    "a schedule has no tick": ("ZREM {root}:schedules {tickless}", [("schedule_without_tick", "schedule:{tickless}")]),
    "a schedule waits for ever": (
        "ZADD {root}:schedules inf {tickless}",
        [("schedule_without_tick", "schedule:{tickless}")],
    ),
    "a paused schedule fires": ("HSET {root}:schedule:{tickless} paused 1", [("wrong_score", "schedule:{tickless}")]),
    "an ended schedule fires": ("HSET {root}:schedule:{tickless} ended_at 5", [("wrong_score", "schedule:{tickless}")]),
    "a schedule has no record": (
        "HDEL {root}:schedule:{tickless} record",
        [("schedule_without_record", "schedule:{tickless}")],
    ),
    "no schedule fires": ("ZADD {root}:schedules 1 {unknown}", [("entry_without_schedule", "schedules")]),
    "no schedule is listed": ("ZADD {root}:schedule_ids 0 {unknown}", [("entry_without_schedule", "schedule_ids")]),
    "a run is held for nothing": (
        "HSET {root}:held:{unknown} id {unknown}:7 lane default timeout_ms 1000 traits priority#1 spec {{}}",
        [("held_for_nothing", "held:{unknown}")],
    ),
    "a name stands for nothing": (
        "HSET {root}:schedule_names nightly {unknown}",
        [("name_without_schedule", "schedule_names")],
    ),
    # Batches.
    "a batch is not completed": ("DEL {root}:left:{batch}", [("batch_not_completed", "batch:{batch}")]),
    "a batch would go too early": ("PEXPIRE {root}:batch:{batch} 100000", [("batch_expires", "batch:{batch}")]),
    "a batch waits for nothing": ("SADD {root}:left:{batch} {unknown}", [("end_untold", "batch:{batch}")]),
    "a batch waits for what has ended": ("SADD {root}:left:{batch} {dead}", [("end_untold", "batch:{batch}")]),
    "members outlived their batch": ("SADD {root}:done:{unknown} x", [("orphaned_members", "done:{unknown}")]),
    # The rest.
    "queues are not listed": (
        "DEL {root}:known_queues",
        [*[("unknown_queue", "known_queues")] * 2, ("unknown_queue", "queue:default"), ("unknown_queue", "queue:shop")],
    ),
    "a handle outlived its job": ("SET {root}:unique:shop#x {unknown}", [("handle_without_job", "unique:shop#x")]),
    "a handle is another job's": ("SET {root}:unique:shop#x {plain}", [("handle_without_job", "unique:shop#x")]),
    "a request is remembered for ever": ("SET {root}:idempotency:x y", [("never_expires", "idempotency:x")]),
    "a claim is remembered for ever": ("SET {root}:claim:r9 n", [("never_expires", "claim:r9")]),
    "a shard is led for ever": ("SET {root}:leader r9", [("never_expires", "leader")]),
    "failures are counted for ever": ("HSET {root}:failures:shop w 1", [("never_expires", "failures:shop")]),
    "a shard is watched for ever": ("XADD {root}:events * x 1", [("never_expires", "events")]),
    "a minute is counted for ever": ("HSET {root}:stats:1 x 1", [("never_expires", "stats:1")]),
    "a lane is kept for ever": ("HSET {root}:lane:shop#q tokens 1", [("never_expires", "lane:shop#q")]),
}
