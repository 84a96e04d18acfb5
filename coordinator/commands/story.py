"""A job, or a schedule, as its story: what it is, what became of its attempts, and what it waits for."""

from coordinator.commands.words import ago, brief, error_text, span
from coordinator.commands.writing import Column, Thing, Writer

_ATTEMPTS = [
    Column("ATTEMPT", lambda one: str(one["attempt"]), is_number=True),
    Column("STARTED", lambda one: ago(one["startedAt"])),
    Column("TOOK", lambda one: span(one["durationMs"])),
    Column("OUTCOME", lambda one: str(one["outcome"]), lambda one: "32" if one["outcome"] == "success" else "33"),
    Column("HTTP", lambda one: str(one["httpStatus"] or "-")),
    Column("ERROR", lambda one: error_text(one["error"])),
]


def story_of(job: Thing, writer: Writer) -> str:
    """Several lines."""
    if job["kind"] == "schedule":
        return _schedule(job, writer)
    reason = f" ({brief(job['reason'])})" if job["reason"] else ""
    lines = [
        _line("job", f"{job['id']}  {writer.state(job['state'])}{reason}"),
        _line("worker", f"{job['worker']}  queue {job['queue']}{_also(job, 'key')}  priority {job['priority']}"),
        _line("args", brief(job["args"], 400)),
        _line("created", f"{job['createdAt']} ({ago(job['createdAt'])})"),
    ]
    lines += [
        _line(label, f"{job[field]} ({ago(job[field])})")
        for label, field in (
            ("due", "nextAttemptAt"),
            ("started", "startedAt"),
            ("deadline", "deadline"),
            ("finished", "finishedAt"),
        )
        if job[field] is not None
    ]
    lines.append(_line("tries", f"{job['attempt']} of {job['maxAttempts']}{_spent(job)}"))
    lines += [
        _line(label, brief(job[field], 400))
        for label, field in (
            *(("schedule", "scheduleId"), ("batch", "batchId"), ("unique", "unique"), ("tags", "tags")),
            *(("meta", "meta"), ("answered", "answered"), ("progress", "progress"), ("says", "message")),
            ("result", "result"),
        )
        if job[field] not in (None, [], {})
    ]
    if job["cancelRequested"]:
        lines.append(_line("", "its function is asked to stop"))
    lines += [_line("waits for", _reason(reason)) for reason in job["waitingFor"]]
    if job["attempts"]:
        lines += ["", writer.table(job["attempts"], _ATTEMPTS)]
    return "\n".join(lines)


def _schedule(job: Thing, writer: Writer) -> str:
    rule = job["cron"] or f"every {span(job['everyMs'])}"
    lines = [
        _line("schedule", f"{job['id']}  {writer.state(job['state'])}{_also(job, 'name')}"),
        _line("rule", f"{brief(rule)}  ({job['timezone']})"),
        _line("worker", f"{job['worker']}  queue {job['queue']}{_also(job, 'key')}"),
        _line("args", brief(job["args"], 400)),
        _line("next", f"{job['nextRunAt'] or '-'} ({ago(job['nextRunAt'])})"),
        _line("last", f"{job['lastRunAt'] or '-'} ({ago(job['lastRunAt'])})"),
        _line("runs", f"{job['runs']}, {job['missed']} missed, {job['skipped']} skipped"),
        _line("overlap", f"{job['overlap']}, misfire {job['misfire']}"),
    ]
    return "\n".join(lines)


def _line(label: str, text: str) -> str:
    return f"{label:10}{text}"


def _also(job: Thing, field: str) -> str:
    return f"  {field} {brief(job[field])}" if job[field] else ""


def _spent(job: Thing) -> str:
    told = [f"{job[field]} {field}" for field in ("snoozes", "throttles") if job[field]]
    return f" ({', '.join(told)})" if told else ""


def _reason(reason: Thing) -> str:
    rest = (f"{name} {brief(value)}" for name, value in reason.items() if name not in {"type", "until"} and value)
    until = f", until {reason['until']} ({ago(reason['until'])})" if reason.get("until") else ""
    return f"{reason['type']}: {', '.join(rest)}{until}".replace(": ,", ":").rstrip(": ")
