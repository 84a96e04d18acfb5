"""The linker: includes once, inputs by name, and errors that name the source."""

import re

import pytest
from redis.exceptions import ResponseError

from coordinator.store import scripts
from coordinator.store.scripts import ScriptError, load

REAL = load()
"""The scripts as a server runs them."""

SPARE_LOCALS = 8
"""For what is still to come: without any, the next line of a library is refused by the servers of those who use us."""


@pytest.fixture
def link(tmp_path, monkeypatch):
    """Links the script `act` of a few files, given by their paths."""

    def link_files(**sources):
        (tmp_path / "lib").mkdir(exist_ok=True)
        for path, text in sources.items():
            (tmp_path / f"{path.replace('__', '/')}.lua").write_text(text)
        monkeypatch.setattr(scripts, "_LUA", tmp_path)
        return load.__wrapped__()["act"]

    return link_files


def test_includes_are_expanded_in_place(link):
    script = link(act="-- first\n-- @include lib/a\nreturn 1\n", lib__a="local a = 1\n")

    assert script.text == "\n-- first\nlocal a = 1\nreturn 1\n"


def test_a_library_that_two_include_is_there_once(link):
    script = link(
        act="-- @include lib/a\n-- @include lib/b\nreturn a + b + c\n",
        lib__a="-- @include lib/c\nlocal a = c\n",
        lib__b="-- @include lib/c\nlocal b = c\n",
        lib__c="local c = 1\n",
    )

    assert script.text == "\nlocal c = 1\nlocal a = c\nlocal b = c\nreturn a + b + c\n"


def test_equal_lines_of_two_files_both_stay(link):
    script = link(act="-- @include lib/a\nend\nend\n", lib__a="end\nend\n")

    assert script.text == "\nend\nend\nend\nend\n"


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        ({"lib__a": "-- @include lib/a\n"}, "lib/a.lua:1 includes lib/a, which includes it"),
        (
            {"lib__a": "\n-- @include lib/b\n", "lib__b": "\n\n-- @include lib/a\n"},
            "lib/b.lua:3 includes lib/a, which includes it",
        ),
        ({"lib__a": "-- @include lib/b\n"}, "lib/b.lua does not exist"),
    ],
)
def test_a_cycle_and_a_missing_file_are_reported(link, sources, complaint):
    with pytest.raises(ScriptError, match=f"^{re.escape(complaint)}$"):
        link(act="-- @include lib/a\n", **sources)


def test_the_bindings_are_the_signature(link):
    script = link(
        act="-- @include lib/a\nlocal id = ARGV[2] -- text\nlocal most = tonumber(ARGV[3])\n"
        "-- Rows from ARGV[4], each: x, y\n",
        lib__a="local kept = ARGV[1]\n",
    )

    assert (script.arguments, script.row) == (("kept", "id", "most"), ("x", "y"))
    assert script.pack([(1, 2), (3, 4)], {"most": 9, "id": "i", "kept": b"k"}) == [b"k", "i", 9, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("local a = ARGV[1]\nlocal b = ARGV[3]\n", "act.lua: ARGV is bound as [1, 3], which leaves a gap"),
        ("local a = ARGV[2]\n", "act.lua: ARGV is bound as [2], which leaves a gap"),
        (
            "local a = ARGV[1]\n-- Rows from ARGV[3], each: x\n",
            "act.lua: rows begin at ARGV[3], but 1 arguments come before them",
        ),
    ],
)
def test_a_gap_is_reported(link, text, complaint):
    with pytest.raises(ScriptError, match=f"^{re.escape(complaint)}$"):
        link(act=text)


@pytest.mark.parametrize(
    ("rows", "values", "complaint"),
    [
        ([], {"id": 1}, "act: arguments are id, limit; got id"),
        ([], {"id": 1, "limit": 2, "more": 3}, "act: arguments are id, limit; got id, limit, more"),
        ([], {"id": 1, "limits": 2}, "act: arguments are id, limit; got id, limits"),
        ([(1, 2), (3,)], {"id": 1, "limit": 2}, "act: rows are x, y; got 3"),
        ([(1, 2, 3)], {"id": 1, "limit": 2}, "act: rows are x, y; got 1, 2, 3"),
    ],
)
def test_inputs_that_do_not_fit_are_named(link, rows, values, complaint):
    script = link(act="local id = ARGV[1]\nlocal limit = ARGV[2]\n-- Rows from ARGV[3], each: x, y\n")

    with pytest.raises(ScriptError, match=f"^{re.escape(complaint)}$"):
        script.pack(rows, values)


def test_rows_where_there_are_none_do_not_fit(link):
    with pytest.raises(ScriptError, match=re.escape("act: rows are ; got 1")):
        link(act="return 1\n").pack([(1,)], {})


def test_a_line_of_the_linked_text_is_told_by_its_source(link):
    script = link(act="-- first\n-- @include lib/a\nreturn a\n", lib__a="\nlocal a = 1\n")

    assert [script.place(line) for line in (2, 3, 4, 5)] == ["act.lua:1", "lib/a.lua:1", "lib/a.lua:2", "act.lua:3"]
    assert script.text.splitlines()[4 - 1] == "local a = 1"
    assert [script.place(line) for line in (0, 1, 6, 99)] == ["act.lua"] * 4


def test_flags_become_the_first_line_where_the_server_knows_them(link):
    text = "-- What it does.\n-- flags: allow-oom\nreturn 1\n"
    script = link(act=text)

    assert script.text == f"#!lua flags=allow-oom\n{text}"
    assert load.__wrapped__(with_flags=False)["act"].text == f"\n{text}"


def test_a_changed_script_has_another_name(link):
    assert link(act="return 1\n").sha != link(act="return 2\n").sha


@pytest.mark.parametrize("name", sorted(REAL))
def test_every_script_says_what_it_does_and_what_it_returns(name):
    assert re.match(r"(#!lua flags=allow-oom)?\n-- [A-Z].+\n(--.*\n)*-- Returns \{", REAL[name].text)


async def test_every_script_is_one_that_the_server_accepts(shard):
    for script in load(with_flags=not shard.store.connection.in_process, test_clock=True).values():
        assert await shard.call("SCRIPT", "LOAD", script.text) == script.sha.encode()


async def test_an_error_of_a_script_names_the_line_of_its_source(real_shard):
    job_id = real_shard.new_id()
    await real_shard.call("SET", f"{real_shard.root}:job:{job_id}", "not a hash")

    with pytest.raises(ResponseError, match="WRONGTYPE") as failed:
        await real_shard.run("read_job", id=job_id)

    (note,) = failed.value.__notes__
    script, file, line = re.fullmatch(r"(\w+): (.+)\.lua:(\d+)", note).groups()
    assert (script, file) == ("read_job", "lib/view")
    assert "HGETALL" in (scripts._LUA / f"{file}.lua").read_text().splitlines()[int(line) - 1]


async def test_an_error_of_a_script_with_flags_names_the_line_of_its_source(real_shard):
    job_id = real_shard.new_id()
    await real_shard.call("SET", f"{real_shard.root}:job:{job_id}", "not a hash")

    with pytest.raises(ResponseError, match="WRONGTYPE") as failed:
        await real_shard.run("detach_jobs", [(job_id, 1, "n", "")])

    (note,) = failed.value.__notes__
    script, file, line = re.fullmatch(r"(\w+): (.+)\.lua:(\d+)", note).groups()
    assert (script, file) == ("detach_jobs", "lib/fence")
    assert "HMGET" in (scripts._LUA / f"{file}.lua").read_text().splitlines()[int(line) - 1]


async def test_a_refused_call_reaches_no_server(shard):
    with pytest.raises(ScriptError, match="read_job: arguments are id; got "):
        await shard.run("read_job")


def with_locals(script, number):
    """The script with so many more locals of its own, which live from its first line to its last."""
    shebang, _, body = script.text.partition("\n")
    return f"{shebang}\nlocal {', '.join(f'spare_{at}' for at in range(number))}\n{body}"


def test_no_script_is_near_the_number_of_locals_that_lua_allows(new_shard, runner):
    """Two hundred of a function, and a script with all that it includes is one. Only the server counts as it does."""
    shard, near = new_shard(), []
    for name, script in REAL.items():
        try:
            runner.run(shard.call("SCRIPT", "LOAD", with_locals(script, SPARE_LOCALS)))
        except ResponseError as error:
            near.append(f"{name} has no room for {SPARE_LOCALS} more; put some into a `do … end`: {error}")

    assert not near, "\n".join(near)
    with pytest.raises(ResponseError, match="local variables"):
        runner.run(shard.call("SCRIPT", "LOAD", with_locals(REAL["read_clock"], 200)))
