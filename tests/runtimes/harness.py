"""What the rows of the table are checked with: the coordinator, and calls made by hand."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
from standardwebhooks import Webhook

KNOWN = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
"""A secret that functions know, and most workers have."""
SECOND = "whsec_c2Vjb25kLXNlY29uZC1zZWNvbmQtc2Vjb25k"
"""Another one that functions know."""
STRANGE = "whsec_c3RyYW5nZS1zdHJhbmdlLXN0cmFuZ2Utc3Q="
"""One that they do not."""

LIMIT_S = 30.0


class Bench:
    """A coordinator at `url`, and a function at `function_url`."""

    def __init__(self, url: str, function_url: str, log: Path) -> None:
        self.function_url = function_url
        self._log = log
        self._registered: set[str] = set()
        self._http = httpx.Client(base_url=url, timeout=LIMIT_S + 5, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._registered:
            self.request("DELETE", f"/worker/{worker}")
        self._http.close()

    def register(self, worker: str = "*", **fields: Any) -> None:
        """Register a worker of this function, until the end; `*` is all that have no address of their own."""
        self.request("PUT", f"/worker/{worker}", {"url": self.function_url, "secret": KNOWN} | fields)
        self._registered.add(worker)

    def request(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON, if it has any; anything but success fails."""
        answer = self._http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path} was answered {answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def enqueue(self, worker: str, args: object = None, **fields: Any) -> str:
        """The new job's id."""
        job = {"worker": worker, "args": {} if args is None else args} | fields
        return str(self.request("POST", "/job", job)["id"])

    def final(self, job_id: str) -> dict[str, Any]:
        """The job when it is final."""
        job: dict[str, Any] = self.request("GET", f"/job/{job_id}?wait={LIMIT_S:.0f}s")
        assert job["finishedAt"], f"not final: {job}\n{self._log.read_text()}"
        return job

    def run(self, worker: str, args: object = None, **fields: Any) -> dict[str, Any]:
        """Enqueue a job, and give it when it is final."""
        return self.final(self.enqueue(worker, args, **fields))

    def job(self, job_id: str, worker: str, args: object) -> dict[str, Any]:
        """What a function is sent for a job that the coordinator does not know of."""
        deadline = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
        job = {"jobId": job_id, "worker": worker, "args": args, "attempt": 1, "maxAttempts": 1, "queue": "default"}
        job |= {"key": None, "scheduledFor": None, "scheduleId": None, "deadline": deadline, "meta": {}}
        return job | {"receiptUrl": f"{self._http.base_url}job/{job_id}/receipt", "token": "1.none"}

    def call(
        self, call: object, *, secret: str = KNOWN, age_s: int = 0, leave_out: str = "", tamper: bool = False
    ) -> httpx.Response:
        """Call the function by hand, in the coordinator's place."""
        body, sent_at = json.dumps(call), datetime.fromtimestamp(int(time.time()) - age_s, UTC)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": f"{sent_at.timestamp():.0f}"}
        headers["webhook-signature"] = Webhook(secret).sign(headers["webhook-id"], sent_at, body)
        headers = {name: value for name, value in headers.items() if name != leave_out}
        content = body.replace('"attempt": 1', '"attempt": 2') if tamper else body
        return self._http.post(
            self.function_url, content=content.encode(), headers=headers | {"content-type": "application/json"}
        )
