"""The machine of machine.py and scenes.py, at its usual length.

`STORE_EXAMPLES=2000` runs it longer; `STORE_SHRINK=1` takes its minutes to make a failing run short.
"""

import os

from hypothesis import Phase, settings

from tests.store.scenes import run_machine

EXAMPLES = int(os.environ.get("STORE_EXAMPLES", "100"))


def test_all_scripts_keep_the_keyspace_whole(new_shard, runner):
    phases = [Phase.generate, Phase.shrink] if "STORE_SHRINK" in os.environ else [Phase.generate]

    run_machine(new_shard, runner, settings(max_examples=EXAMPLES, phases=phases, print_blob=True))
