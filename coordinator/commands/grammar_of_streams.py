"""What can be said to the commands that watch, and to those that move many jobs."""

from coordinator.commands.grammar_parts import Commands, add_consent, add_filters, leaf, whole

SHELLS = ("bash", "zsh", "fish")


def add_stream_commands(commands: Commands) -> None:
    """Tell the parser of them."""
    _add_dead(commands)
    _add_watching(commands)
    _add_moving(commands)
    completion = leaf(commands, "completion", "print what makes a shell complete these commands", "completion")
    completion.add_argument("shell", choices=SHELLS)


def _add_dead(commands: Commands) -> None:
    acts = commands.add_parser("dead", help="show dead jobs by what they died of; replay them")
    under = acts.add_subparsers(dest="act", required=True, metavar="act")
    listed = leaf(under, "list", "dead jobs in groups of one error (meant where no act is named)", "dead")
    listed.add_argument("--queue", help="of this queue")
    listed.add_argument("--worker", help="for this worker")
    listed.add_argument("--limit", type=whole(1, 200), default=50, help="so many groups at the most (50)")
    replay = leaf(under, "replay", "try dead jobs anew that a filter finds", "dead")
    add_filters(replay)
    replay.add_argument("--all", action="store_true", help="every dead job, where there is no filter")
    replay.add_argument("--limit", type=whole(1), help="so many at the most")
    add_consent(replay)


def _add_watching(commands: Commands) -> None:
    tail = leaf(commands, "tail", "write what happens, as it happens, until Ctrl-C", "tail")
    tail.add_argument("job", nargs="?", metavar="ID", help="of one job only; ends when that is final")
    tail.add_argument("--queue", help="of this queue")
    tail.add_argument("--worker", help="of this worker")
    tail.add_argument("--schedule", help="of this schedule")
    tail.add_argument("--type", help="such as job.dead,job.retrying, or job. for all of jobs")
    tail.add_argument("--count", type=whole(1), help="end after so many events")
    top = leaf(commands, "top", "watch queues, throughput and failures on a full screen; q quits", "top")
    top.add_argument("--queue", help="of this queue")
    top.add_argument("--minutes", type=whole(1, 180), default=30, help="how far back the lines go (30)")
    top.add_argument("--interval", type=whole(1, 3600), default=2, metavar="SECONDS", help="between two looks (2)")
    top.add_argument("--once", action="store_true", help="one frame, and no more")


def _add_moving(commands: Commands) -> None:
    taken = leaf(commands, "import", "make jobs of the lines of a file, each the JSON of a job", "importing")
    taken.add_argument("file", help="NDJSON, also .gz; - is stdin")
    taken.add_argument("--id", help="of this import: what was sent under it within a day is not made again")
    taken.add_argument("--rejects", help="where refused lines go, with their reasons (FILE.rejects)")
    taken.add_argument("--parallel", type=whole(1, 32), default=4, help="requests in flight (4)")
    taken.add_argument("--patience", default="5m", help="how long to wait for a coordinator that is away or full (5m)")
    text = "go on after more than a day, when what was in flight at the interrupt may be made twice"
    taken.add_argument("--anyway", action="store_true", help=text)
    given = leaf(commands, "export", "write jobs as lines that import takes again", "exporting")
    given.add_argument("file", help="where to, gzipped if it ends with .gz; - is stdout")
    add_filters(given)
    given.add_argument("--full", action="store_true", help="all that is known of each job, with its attempts")
    given.add_argument("--overwrite", action="store_true", help="have a file that is there be replaced")
    for one, flags in ((taken, ("--checkpoint", "--state")), (given, ("--checkpoint",))):
        text = "where it notes how far it is (FILE.checkpoint); with it the same command goes on"
        one.add_argument(*flags, dest="checkpoint", metavar="FILE", help=text)
        one.add_argument("--restart", action="store_true", help="begin anew, whatever is noted there")
