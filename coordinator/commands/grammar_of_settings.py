"""What can be said of queues, schedules, workers, declarations and profiles."""

from coordinator.commands.grammar_parts import Commands, add_consent, leaf, whole

_FIELDS = "FIELD=VALUE"


def add_settings_commands(commands: Commands) -> None:
    """Tell the parser of them."""
    _add_queues(commands)
    _add_schedules(commands)
    _add_workers(commands)
    _add_sync(commands)
    _add_profiles(commands)


def _add_queues(commands: Commands) -> None:
    acts = commands.add_parser("queues", help="list queues; show, pause, resume, set or purge one")
    under = acts.add_subparsers(dest="act", required=True, metavar="act")
    leaf(under, "list", "every queue, and how many jobs it has in which state (meant where no act is named)", "queues")
    for act, text in (
        ("show", "one queue with its limits and circuits (meant where a name stands alone)"),
        ("pause", "start nothing more of these queues; what runs goes on"),
        ("resume", "go on with them"),
    ):
        one = leaf(under, act, text, "queues")
        one.add_argument("names", nargs="+" if act != "show" else 1, metavar="NAME")
    put = leaf(under, "set", "set limits of a queue; what is not named stays", "queues")
    put.add_argument("name")
    put.add_argument("fields", nargs="*", metavar=_FIELDS, help="such as concurrency=5 rate.limit=2 rate=null")
    put.add_argument("--replace", action="store_true", help="what is not named gets its default")
    purge = leaf(under, "purge", "cancel what waits in a queue and erase what has ended", "queues")
    purge.add_argument("name")
    add_consent(purge)


def _add_schedules(commands: Commands) -> None:
    acts = commands.add_parser("schedules", help="list schedules; show, pause, resume, trigger, delete or preview one")
    under = acts.add_subparsers(dest="act", required=True, metavar="act")
    listed = leaf(under, "list", "every schedule (meant where no act is named)", "schedules")
    listed.add_argument("--queue", help="whose runs are of this queue")
    for act, text in (
        ("show", "one schedule (meant where a name stands alone)"),
        ("pause", "fire no more; ticks that come meanwhile are not made up for"),
        ("resume", "go on with the next tick"),
        ("trigger", "make a run now, whatever the rule says"),
        ("delete", "delete schedules; their jobs stay"),
    ):
        one = leaf(under, act, text, "schedules")
        one.add_argument("names", nargs="+" if act != "show" else 1, metavar="NAME", help="or its id")
        if act == "delete":
            one.add_argument("--cancel-runs", action="store_true", help="cancel those of its runs that wait")
    preview = leaf(under, "preview", "when a rule, or a schedule, would fire; nothing is stored", "schedules")
    preview.add_argument("rule", help="a cron expression, an interval such as 10m, or the name of a schedule")
    preview.add_argument("--timezone", help="of the rule (UTC)")
    preview.add_argument("--count", type=whole(1, 100), default=5, help="so many ticks (5)")


def _add_workers(commands: Commands) -> None:
    acts = commands.add_parser("workers", help="list workers with their circuits; show, set, ping or delete one")
    under = acts.add_subparsers(dest="act", required=True, metavar="act")
    leaf(under, "list", "every worker, and the circuits that are open (meant where no act is named)", "workers")
    for act, text in (
        ("show", "one worker (meant where a name stands alone)"),
        ("ping", "send a signed test request to its function"),
    ):
        leaf(under, act, text, "workers").add_argument("name")
    put = leaf(under, "set", "register a worker, or change it; what is not named stays", "workers")
    put.add_argument("name", help="'*' for all names without a URL of their own")
    put.add_argument("fields", nargs="+", metavar=_FIELDS, help="such as url=https://… timeout=30s secret=env:MAIL")
    put.add_argument("--replace", action="store_true", help="what is not named gets its default")
    leaf(under, "delete", "forget workers", "workers").add_argument("names", nargs="+", metavar="NAME")


def _add_sync(commands: Commands) -> None:
    acts = commands.add_parser("sync", help="plan or apply a declaration of workers, queues and schedules")
    under = acts.add_subparsers(dest="act", required=True, metavar="act")
    plan = leaf(under, "plan", "show what a declaration would change", "sync")
    plan.add_argument("--detailed-exitcode", action="store_true", help="exit code 2 if it would change something")
    applied = leaf(under, "apply", "have all be as declared", "sync")
    applied.add_argument("--yes", "-y", action="store_true", help="do not ask first")
    for one in (plan, applied):
        one.add_argument("file", help="JSON, YAML or TOML, by its ending; - reads JSON from stdin")
        one.add_argument("--owner", help="in place of the one in the file")


def _add_profiles(commands: Commands) -> None:
    login = leaf(commands, "login", "check a token, and keep it with the address as a profile", "profiles")
    login.add_argument("address", nargs="?", metavar="URL", help="of the coordinator; the token is asked for, or stdin")
    acts = commands.add_parser("profiles", help="list the profiles that login has written; use or remove one")
    under = acts.add_subparsers(dest="act", required=True, metavar="act")
    leaf(under, "list", "every profile (meant where no act is named)", "profiles")
    leaf(under, "use", "have this one be used where none is named", "profiles").add_argument("name")
    leaf(under, "remove", "forget a profile and its token", "profiles").add_argument("name")
