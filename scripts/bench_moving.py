"""What `scripts/bench moving` does: import jobs and export them, each killed in the middle, and count what is there."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAM = [sys.executable, "-m", "coordinator"]

Figures = dict[str, float]


def move(directory: Path, url: str, jobs: int) -> Iterator[tuple[str, Figures]]:
    """Each with its rate, of the part that was not killed, and the most memory of both parts."""
    source, copy = directory / "jobs.ndjson", directory / "copy.ndjson"
    with source.open("w") as file:
        for number in range(jobs):
            job = {
                "worker": "bench",
                "queue": "moved",
                "delay": "20h",
                "args": {"n": number, "to": f"{number}@example.com"},
            }
            file.write(json.dumps(job) + "\n")
    for act, path, counted, flags in (("import", source, "number", []), ("export", copy, "jobs", ["--queue", "moved"])):
        command = [*PROGRAM, act, str(path), "--url", url, "--quiet", "--json", *flags]
        first = _killed(command, Path(f"{path}.checkpoint"), counted, jobs // 2)
        began = time.monotonic()
        peak, told = _watched(subprocess.Popen(command, stdout=subprocess.PIPE))
        done = jobs - (told["resumedAtLine"] - 1 if act == "import" else told["resumedAt"])
        figures = {"jobs/s": done / (time.monotonic() - began), "peak MiB": max(first, peak)}
        if act == "import":
            figures |= {"made": told["made"], "refused": told["refused"]}
        else:
            figures |= _counted(copy, jobs)
        yield act, figures


def _killed(command: list[str], checkpoint: Path, counted: str, least: int) -> float:
    """Kill it when so much is noted. Returns the most memory that it had, in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _peak_mib(process.pid))
        if checkpoint.exists() and json.loads(checkpoint.read_text())["place"][counted] >= least:
            process.kill()
            process.wait()
            return peak
        time.sleep(0.05)
    raise RuntimeError(f"{command[3]} ended before it was killed")


def _watched(process: subprocess.Popen[bytes]) -> tuple[float, dict[str, int]]:
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _peak_mib(process.pid))
        time.sleep(0.05)
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}")
    told: dict[str, int] = json.loads(out)
    return peak, told


def _peak_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def _counted(copy: Path, jobs: int) -> Figures:
    """How many jobs of the import are not in the export, and how many more than once."""
    seen = bytearray(jobs)
    doubled = 0
    with copy.open() as file:
        for line in file:
            number = json.loads(line)["args"]["n"]
            doubled += seen[number]
            seen[number] = 1
    return {"lost": jobs - sum(seen), "doubled": doubled}
