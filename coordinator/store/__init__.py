"""The only code that knows Redis.

One Lua script per atomic step (`lua/`), bound by name (`scripts.py`), called over one connection (`connection.py`)
by a few classes whose methods carry the scripts' verbs:

```
JobStore        enqueue ▸ claim ▸ renew ▸ detach │ release │ settle ▸ purge      read, list, delete
QueueStore      configure, read            WorkerStore     put, read, delete
ScheduleStore   put, due, fire, delete     LeadershipStore register, hold, resign, roster
CapacityStore fills                        Checkup         check, mend
```

Every script may be repeated with the same arguments: a lost reply costs a second look, never a second job.

What holds between any two scripts, and who holds us to it: the doctor (D) in every store, also a live one; the machine
of the store (M) and the properties of its limits (L) in random plays of the scripts; the models of the protocol (P) in
every order of its steps; the fault runs of `scripts/chaos` (C) with real processes.

```
 1  each job stands in exactly the indexes that its hash implies, with the right score               D M P
 2  a final state stays, unless a person has the job tried anew                                        M P C
 3  what is said of one attempt, but a success, changes no other                                       M P
 4  attempts and losses stay in bounds; numbers go back only by what was given back                    M P
 5  an attempt is sent once at the most                                                                  P C
 6  there is a holder exactly as long as a replica holds the call                                    D M P
 7  succeeded means that a function said so                                                              P C
 8  dead means attempts used up, losses used up, or a failure for good                                   P C
 9  without a fault no lease lapses while its holder lives                                               P C
10  in no window starts more than burst + rate * t, and with a backlog no less                       L
11  no more run than the concurrency allows; a slot is the entry of a job that runs, and no counter  D L
12  a tick makes one job at the most, and none is missed within the policy                               P C
13  no wheel is later than what waits below it                                                       D M P
14  from every state a final one is reached, with no person's help                                       P C
```
"""
