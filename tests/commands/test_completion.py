"""`completion`: scripts that a shell takes, and that complete what there is."""

import shutil
import subprocess
import sys

import pytest

from coordinator.commands import grammar_parts
from coordinator.domain import job

ASK = """
source ./completion
COMP_WORDS=(coordinator {words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}
$(complete -p coordinator | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def completed(run, tmp_path):
    (tmp_path / "completion").write_text(run("completion", "bash").out)

    def completed(words):
        done = subprocess.run(
            ["bash", "-uc", ASK.format(words=words)], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return set(done.stdout.split())

    return completed


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("q", {"queues"}),
        ("jobs ''", {"list", "cancel", "retry", "run", "delete", "edit"}),
        ("jobs list --crea", {"--created-after"}),
        ("completion ''", {"bash", "zsh", "fish"}),
        ("sdk ''", {"js", "python"}),
    ],
)
def test_bash_completes_commands_and_flags(completed, words, there):
    assert there <= completed(words)


@pytest.mark.parametrize("words", ["jobs --state d", "jobs list --state d", "jobs retry --state d", "export --state d"])
def test_bash_completes_a_state_and_no_act_in_its_place(completed, words):
    assert completed(words) == {"dead"}


@pytest.mark.parametrize(("shell", "check"), [("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])])
def test_other_shells_take_their_scripts(run, tmp_path, shell, check):
    said = run("completion", shell)

    assert said.code == 0
    assert "coordinator" in said.out
    assert "schedules" in said.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(said.out)
        subprocess.run([*check, "script"], cwd=tmp_path, check=True)


def test_every_command_has_its_family_and_none_is_loaded_for_the_help():
    code = """
import sys
from coordinator.cli import build_parser
build_parser()
slow = {"httpx", "litestar", "redis", "uvicorn", "rich", "shtab", "asyncio", "croniter"}
print(sorted(slow & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_the_states_that_are_offered_are_all_there_are():
    assert grammar_parts.STATES == job.STATES
