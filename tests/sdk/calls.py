"""Calls as a coordinator makes them, signed by the standard's own library."""

import json
from datetime import UTC, datetime

from standardwebhooks import Webhook

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OTHER = "whsec_c2Vjb25kLXNlY29uZC1zZWNvbmQtc2Vjb25k"
NOW = 1_800_000_000
DEADLINE = "2027-01-15T08:15:00.000Z"
"""A quarter of an hour after `NOW`."""


def clock():
    return float(NOW)


def job(worker="send", args=None, **fields):
    call = {
        "jobId": "job1",
        "worker": worker,
        "args": args,
        "attempt": 1,
        "maxAttempts": 3,
        "queue": "mail",
        "key": None,
    }
    call |= {"scheduledFor": None, "scheduleId": None, "deadline": DEADLINE, "meta": {}, "token": "1.abc"}
    return call | {"receiptUrl": f"http://127.0.0.1:1/job/{fields.get('jobId', 'job1')}/receipt"} | fields


def batch(*jobs):
    return {"worker": jobs[0]["worker"], "queue": "mail", "key": None, "deadline": DEADLINE, "jobs": list(jobs)}


def signed(body, secret=SECRET, sent_at=NOW, message_id="job1:1:x"):
    """The headers of a call."""
    signature = Webhook(secret).sign(message_id, datetime.fromtimestamp(sent_at, UTC), body.decode())
    return {"webhook-id": message_id, "webhook-timestamp": str(sent_at), "webhook-signature": signature}


def called(service, call, **how):
    """Status and JSON of the answer."""
    body = json.dumps(call).encode()
    answer = service.handle("POST", signed(body, **how), body)
    return answer.status, json.loads(answer.body)
