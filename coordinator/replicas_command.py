"""The command `coordinator replicas`: who works on a store, and who leads what."""

import json
import sys

from coordinator.api.setting_answers import roster_answer
from coordinator.settings import Settings
from coordinator.store.open import open_as_written


async def show(url: str, settings: Settings, *, as_json: bool) -> int:
    """Returns the exit code: 1 if a shard is led by nobody. Raises `StoreUnavailable` and `SettingsError`."""
    store = await open_as_written(url, settings)
    try:
        roster = await store.leadership.roster()
    finally:
        await store.close()
    if as_json:
        sys.stdout.write(json.dumps(roster_answer(roster, store.shards)) + "\n")
        return 1 if roster.unled else 0
    width = max([len("REPLICA"), *(len(member.id) for member in roster.members)])
    lines = [("REPLICA", "LAST HEARD", "LEADS")]
    for member in roster.members:
        silent_s = max(0, roster.now - member.said_at) / 1000
        lines.append((member.id, f"{silent_s:.1f} s ago", " ".join(map(str, member.leads)) or "no shard"))
    sys.stdout.write("".join(f"{name:{width}}  {heard:10}  {leads}\n" for name, heard, leads in lines))
    if roster.unled:
        sys.stdout.write(f"led by nobody: {' '.join(map(str, roster.unled))}\n")
    return 1 if roster.unled else 0
