"""The files of the docs that run nights: GitHub's schema, the options of the command, and what their scripts do."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from perfsuite.cli.history import nightly

ROOT = Path(__file__).parent.parent
CI = ROOT / "docs" / "ci"
WORKFLOW = ROOT / ".github" / "workflows" / "nightly.yml"
#: Keys of systemd's that are used; others would be ignored with a warning in a log that nobody reads.
KEYS = {
    "Unit": {"Description", "Wants", "After"},
    "Service": {
        "Type", "User", "WorkingDirectory", "ExecStart", "TimeoutStartSec", "KillMode", "TimeoutStopSec", "Nice",
        "CPUWeight", "PrivateTmp",
    },
    "Timer": {"OnCalendar", "Persistent", "Unit"},
    "Install": {"WantedBy"},
}  # fmt: skip


def steps() -> list[dict[str, Any]]:
    return list(yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["nightly"]["steps"])


def step(name: str) -> dict[str, Any]:
    (found,) = (one for one in steps() if one.get("name") == name)
    return found


def check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_workflow_keeps_to_the_schema(tmp_path: Path) -> None:
    done = check(WORKFLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "nightly.yml"
    broken.write_text(re.sub(r"timeout-minutes: 360", "timeout-minutes: [1]", WORKFLOW.read_text(encoding="utf-8")))
    assert check(broken).returncode == 1


def unit(name: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=True, interpolation=None)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read(CI / name)
    return found


def commands() -> dict[str, list[str]]:
    line = (CI / "perfsuite-nightly.crontab").read_text().splitlines()[-1]
    limited = shlex.split(step("Nightly")["run"].replace("\\\n", " "))
    return {
        "workflow": limited[limited.index("330m") + 1 :],
        "systemd": shlex.split(unit("perfsuite-nightly.service")["Service"]["ExecStart"]),
        "cron": shlex.split(line.partition("&& ")[2]),
    }


@pytest.mark.parametrize("where", ["workflow", "systemd", "cron"])
def test_only_options_that_the_command_has_are_used(where: str) -> None:
    command = commands()[where]
    assert command[0].endswith("/perfsuite")
    assert command[1:3] == ["history", "nightly"]
    context = nightly.make_context("nightly", command[3:])
    assert isinstance(context, click.Context)
    assert context.params["summary"]


@pytest.mark.parametrize("name", ["perfsuite-nightly.service", "perfsuite-nightly.timer"])
def test_units_have_keys_that_systemd_knows(name: str) -> None:
    found = unit(name)
    assert found.sections()
    for section in found.sections():
        assert set(found[section]) <= KEYS[section]
    if shutil.which("systemd-analyze"):
        done = subprocess.run(
            ["systemd-analyze", "verify", str(CI / name)], capture_output=True, text=True, check=False
        )
        assert "Unknown" not in done.stderr


def test_the_timer_starts_the_service_every_night() -> None:
    timer = unit("perfsuite-nightly.timer")["Timer"]
    assert (CI / timer["Unit"]).is_file()
    assert re.fullmatch(r"\*-\*-\* \d\d:\d\d:\d\d", timer["OnCalendar"])
    fields = (CI / "perfsuite-nightly.crontab").read_text().splitlines()[-1].split()[:5]
    assert all(re.fullmatch(r"\d+|\*", one) for one in fields)
    assert unit("perfsuite-nightly.service")["Service"]["Type"] == "oneshot"


def test_nothing_that_others_name_is_pasted_into_a_script() -> None:
    for one in steps():
        assert "${{" not in one.get("run", "")


def test_a_night_is_never_cancelled_by_another_and_what_it_did_is_kept() -> None:
    found = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    night = found["jobs"]["nightly"]
    assert found["concurrency"]["cancel-in-progress"] is False
    assert found["permissions"] == {"contents": "write"}
    for name in ("Keep the history", "Publish"):
        assert "always()" in step(name)["if"]
    # It ends before the job does, and by no limit of the runner's, which would end the shell and not the night.
    assert "timeout-minutes" not in step("Nightly")
    command = shlex.split(step("Nightly")["run"].replace("\\\n", " "))
    assert command[0] == "timeout"
    minutes = [int(limit[1]) for word in command if (limit := re.fullmatch(r"(?:--kill-after=)?(\d+)m", word))]
    assert len(minutes) == 2
    assert sum(minutes) < night["timeout-minutes"]


# --- the scripts ------------------------------------------------------------------------------------


def git(*arguments: str, cwd: Path) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of a repository, as actions/checkout makes it."""
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    git("init", "-q", "--bare", "-b", "main", str(origin), cwd=tmp_path)
    git("clone", "-q", str(origin), str(clone), cwd=tmp_path)
    git("commit", "-q", "--allow-empty", "-m", "1", cwd=clone)
    git("push", "-q", "origin", "HEAD:main", cwd=clone)
    return clone


def run(name: str, checkout: Path) -> None:
    environment = {**os.environ, "RUNNER_TEMP": str(checkout.parent / "temp"), "HOME": str(checkout.parent)}
    (checkout.parent / "temp").mkdir(exist_ok=True)
    subprocess.run(["bash", "-e", "-c", step(name)["run"]], cwd=checkout, env=environment, check=True)


def test_the_history_comes_back_the_next_night(checkout: Path) -> None:
    run("Fetch the history", checkout)  # there is none yet
    files = {
        "results/mill/11111111-perfsuite.json": "{}",
        "results/benchmarks.json": "{}",
        "nightly/mill/findings.json": "{}",
        "nightly/mill/.gitignore": "lock\nlog/\n",
        "nightly/mill/log/1.log": "long",
        f"runs/{'1' * 40}/20250101T000000Z-aaaa/run.json": "{}",
        f"runs/{'1' * 40}/.gitignore": "*\n",
        "html/index.html": "<html>",
    }
    for name, text in files.items():
        path = checkout / ".asv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run("Keep the history", checkout)
    run("Publish", checkout)
    kept = git("ls-tree", "-r", "--name-only", "perfsuite-history", cwd=checkout.parent / "origin.git").splitlines()
    assert set(kept) == {
        name for name in files if not name.startswith(("html", "nightly/mill/log")) and "runs" not in name
    } | {f"runs/{'1' * 40}/20250101T000000Z-aaaa/run.json"}
    site = git("ls-tree", "-r", "--name-only", "gh-pages", cwd=checkout.parent / "origin.git").splitlines()
    assert site == [".nojekyll", "index.html"]
    shutil.rmtree(checkout / ".asv")
    run("Fetch the history", checkout)
    assert (checkout / ".asv" / "results" / "mill" / "11111111-perfsuite.json").is_file()
    assert (checkout / ".asv" / "runs" / ("1" * 40) / "20250101T000000Z-aaaa" / "run.json").is_file()
    # The next night's are one commit again.
    (checkout / ".asv" / "results" / "mill" / "22222222-perfsuite.json").write_text("{}")
    run("Keep the history", checkout)
    log = git("rev-list", "--count", "perfsuite-history", cwd=checkout.parent / "origin.git")
    assert log == "1"


def test_a_history_that_cannot_be_fetched_is_not_written_over(checkout: Path) -> None:
    origin = checkout.parent / "origin.git"
    origin.rename(checkout.parent / "unreachable")
    with pytest.raises(subprocess.CalledProcessError):
        run("Fetch the history", checkout)
    assert step("Keep the history")["if"].endswith("steps.nightly.outcome != 'skipped' }}")


#: Is told to stop like a night, and ends as one does.
NIGHT = r"""#!/bin/sh
trap 'echo stopped > "$RUNNER_TEMP/told"; exit 130' TERM
touch "$RUNNER_TEMP/started"
while :; do sleep 0.05; done
"""


@pytest.mark.parametrize(("program", "code"), [(NIGHT, 130), ("#!/bin/sh\nexit 1\n", 1), ("#!/bin/sh\nexit 4\n", 4)])
def test_a_night_that_takes_too_long_is_told_to_stop(tmp_path: Path, program: str, code: int) -> None:
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "perfsuite").write_text(program)
    (folder / "perfsuite").chmod(0o755)
    script = re.sub(r"\b330m\b", "1" if program == NIGHT else "60", step("Nightly")["run"])
    assert "330m" not in script
    environment = {**os.environ, "RUNNER_TEMP": str(tmp_path), "MACHINE": "mill", "GITHUB_STEP_SUMMARY": "x"}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == code
    assert (tmp_path / "told").exists() == (tmp_path / "started").exists() == (program == NIGHT)


def test_without_a_site_nothing_is_published(checkout: Path) -> None:
    run("Publish", checkout)
    assert "gh-pages" not in git("branch", cwd=checkout.parent / "origin.git")


def test_the_docs_include_them_and_have_no_copy() -> None:
    page = (ROOT / "docs" / "history" / "nightly.md").read_text(encoding="utf-8")
    for name in ("perfsuite-nightly.service", "perfsuite-nightly.timer", "perfsuite-nightly.crontab"):
        assert f"```{{literalinclude}} ../ci/{name}\n" in page
    assert "```{literalinclude} ../../.github/workflows/nightly.yml\n" in page
    assert list((ROOT / "docs").rglob("nightly.yml")) == []
