"""The CI files of the docs: the schemas of those who read them, the options of the gate, and what their scripts do."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from perfsuite.gate.spec import parse_spec
from perfsuite.gate.trees import Trees
from perfsuite.present.gate.markdown import MARKER

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / "docs" / "ci" / "github-gate.yml"
GITLAB = ROOT / "docs" / "ci" / "gitlab-gate.yml"
OPTIONS = {
    "--base", "--head", "--threshold", "--json", "--markdown", "--junit", "--report", "--census-only", "--no-shortcut",
    "--budget", "--max-pairs", "--seed", "--inconclusive",
}  # fmt: skip
SCHEMAS = {
    GITHUB: ["--builtin-schema", "vendor.github-workflows"],
    GITLAB: ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def step(name: str) -> dict[str, Any]:
    (found,) = (one for one in loaded(GITHUB)["jobs"]["gate"]["steps"] if one.get("name") == name)
    return dict(found)


def job() -> dict[str, Any]:
    return dict(loaded(GITLAB)["perfsuite-gate"])


def check(path: Path, schema: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", *schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_they_keep_to_the_schema(path: Path, tmp_path: Path) -> None:
    done = check(path, SCHEMAS[path])
    assert done.returncode == 0, done.stdout + done.stderr
    # And the check would find a mistake.
    broken = tmp_path / path.name
    broken.write_text(re.sub(r"\n( +)(runs-on|rules):.*", r"\n\1\2: 3", path.read_text(encoding="utf-8"), count=1))
    assert check(broken, SCHEMAS[path]).returncode == 1


def github_gate() -> str:
    """The gate's command of the workflow, as bash gets it."""
    first, _, command = step("Gate")["run"].partition("\n")
    assert first.startswith("mkdir ")
    return str(command)


def gitlab_gate() -> str:
    (command,) = (line for line in job()["script"] if "perfsuite gate" in line)
    return str(command)


def gate_commands() -> Iterator[list[str]]:
    for command in (github_gate(), gitlab_gate()):
        yield shlex.split(command.replace("\\\n", " "))


def test_only_options_that_the_gate_has_are_used() -> None:
    found = list(gate_commands())
    assert len(found) == 2
    for command in found:
        at = command.index("perfsuite")
        assert command[0] == "timeout"
        assert command[at + 1] == "gate"
        used = {word for word in command[at:] if word.startswith("--")}
        assert {"--base", "--head", "--markdown", "--junit", "--json", "--report"} <= used <= OPTIONS


def test_the_docs_include_them_and_have_no_copy() -> None:
    page = (ROOT / "docs" / "gate-ci.md").read_text(encoding="utf-8")
    for path in SCHEMAS:
        assert f"```{{literalinclude}} ci/{path.name}" in page
        assert f"](ci/{path.name})" in page


def test_nothing_that_others_name_is_pasted_into_a_script() -> None:
    for one in loaded(GITHUB)["jobs"]["gate"]["steps"]:
        assert "${{" not in one.get("run", "")


def test_what_follows_the_gate_still_runs_when_it_fails() -> None:
    steps = loaded(GITHUB)["jobs"]["gate"]["steps"]
    assert "!cancelled()" in step("Comment")["if"]
    assert "always()" in steps[-1]["if"]
    # The gate ends before the job does, and by no limit of the runner's, which would end the shell and not the gate.
    assert "timeout-minutes" not in step("Gate")
    assert loaded(GITHUB)["jobs"]["gate"]["timeout-minutes"] == 60
    assert job()["timeout"] == "1 hour"
    for command in gate_commands():
        minutes = [int(re.sub(r"--kill-after=|m$", "", word)) for word in command if re.fullmatch(r".*\dm", word)]
        assert len(minutes) == 2
        assert sum(minutes) < 60
    assert job()["artifacts"]["when"] == "always"
    assert job()["artifacts"]["reports"] == {"junit": "perfsuite-gate/gate.xml"}
    assert loaded(GITHUB)["permissions"] == {"contents": "read", "pull-requests": "write"}


#: Stops like the gate does: with its files written, and by 130.
GATE = r"""#!/bin/sh
trap 'echo stopped > perfsuite-gate/gate.md; exit 130' TERM
touch started
while :; do sleep 0.05; done
"""


@pytest.mark.parametrize("command", [github_gate, gitlab_gate], ids=["GitHub", "GitLab"])
def test_at_the_time_limit_the_gate_writes_what_it_has(tmp_path: Path, command: Callable[[], str]) -> None:
    for folder in ("bin", "perfsuite-gate"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "perfsuite").write_text(GATE)
    (tmp_path / "bin" / "perfsuite").chmod(0o755)
    script = re.sub(r"\b50m\b", "1", command())
    assert script != command()
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "RUNNER_TEMP": str(tmp_path), "base": "HEAD"}
    done = subprocess.run(["bash", "-e", "-c", script], env=environment, check=False, cwd=tmp_path)
    assert (tmp_path / "started").exists()
    assert done.returncode == 130
    assert (tmp_path / "perfsuite-gate" / "gate.md").read_text() == "stopped\n"


@pytest.mark.parametrize("code", [0, 1, 3, 4])
@pytest.mark.parametrize("command", [github_gate, gitlab_gate], ids=["GitHub", "GitLab"])
def test_before_it_the_code_is_the_gates(tmp_path: Path, command: Callable[[], str], code: int) -> None:
    (tmp_path / "perfsuite").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "perfsuite").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUNNER_TEMP": str(tmp_path), "base": "HEAD"}
    done = subprocess.run(["bash", "-e", "-c", command()], env=environment, check=False, cwd=tmp_path)
    assert done.returncode == code


# --- GitHub's comment -------------------------------------------------------------------------------

#: Answers like the program, as far as the workflow asks, and writes down what it was asked.
GH = r"""#!/bin/sh
printf '%s\n' "$*" >> "$GH_LOG"
case "$*" in *--paginate*) printf '%s' "$GH_FOUND";; esac
"""


def comment(tmp_path: Path, *, found: str = "", fork: bool = False, text: str | None = f"{MARKER}\nok\n") -> list[str]:
    """Run the workflow's step; what it asked GitHub for."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(GH)
    (tmp_path / "bin" / "gh").chmod(0o755)
    (tmp_path / "perfsuite-gate").mkdir()
    if text is not None:
        (tmp_path / "perfsuite-gate" / "gate.md").write_text(text)
    (tmp_path / "log").touch()
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "GITHUB_REPOSITORY": "octo/net",
        "FROM": "somebody/net" if fork else "octo/net",
        "NUMBER": "7",
        "GH_LOG": str(tmp_path / "log"),
        "GH_FOUND": found,
    }
    subprocess.run(["bash", "-e", "-c", step("Comment")["run"]], env=environment, check=True, cwd=tmp_path)
    return (tmp_path / "log").read_text().splitlines()


def test_the_first_push_adds_a_comment_and_the_next_one_replaces_it(tmp_path: Path) -> None:
    (first, second) = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    asked = comment(first)
    assert len(asked) == 2
    assert MARKER in asked[0]
    body = f"-F body=@{first}/perfsuite-gate/gate.md"
    assert asked[1] == f"api --silent --method POST repos/octo/net/issues/7/comments {body}"
    assert (first / "summary").read_text() == f"{MARKER}\nok\n"
    asked = comment(second, found="42\n43\n")
    body = f"-F body=@{second}/perfsuite-gate/gate.md"
    assert asked[1] == f"api --silent --method PATCH repos/octo/net/issues/comments/42 {body}"


def test_a_fork_has_its_summary_and_no_comment(tmp_path: Path) -> None:
    assert comment(tmp_path, fork=True) == []
    assert MARKER in (tmp_path / "summary").read_text()


def test_a_gate_that_could_not_run_says_so_in_the_summary(tmp_path: Path) -> None:
    assert comment(tmp_path, text=None) == []
    assert "could not be run" in (tmp_path / "summary").read_text()


# --- GitLab's note ----------------------------------------------------------------------------------


class GitLab(BaseHTTPRequestHandler):
    """What the job asks of GitLab: who it is, the notes by pages, and a note to add or to replace."""

    pages: tuple[list[dict[str, Any]], ...] = ()
    asked: ClassVar[list[tuple[str, str, str | None, str | None]]] = []

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length))["body"] if length else None
        type(self).asked.append((self.command, self.path, self.headers.get("PRIVATE-TOKEN"), body))
        found: Any = {"id": 5} if self.path == "/user" else {}
        page = re.search(r"[?&]page=(\d+)", self.path)
        self.send_response(200)
        if page:
            number = int(page[1])
            found = self.pages[number - 1]
            self.send_header("X-Next-Page", str(number + 1) if number < len(self.pages) else "")
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextmanager
def gitlab(*pages: list[dict[str, Any]]) -> Iterator[str]:
    GitLab.pages, GitLab.asked = pages, []
    with HTTPServer(("127.0.0.1", 0), GitLab) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def post(tmp_path: Path, api: str, token: str = "secret") -> subprocess.CompletedProcess[str]:
    (tmp_path / "perfsuite-gate").mkdir()
    (tmp_path / "perfsuite-gate" / "gate.md").write_text(f"{MARKER}\nslower\n")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CI_API_V4_URL": api, "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "9", "PERFSUITE_TOKEN": token, "no_proxy": "127.0.0.1",
    }  # fmt: skip
    (script,) = job()["after_script"]
    command = ["bash", "-e", "-c", script]
    return subprocess.run(command, env=environment, check=True, cwd=tmp_path, capture_output=True, text=True)


def note(number: int, author: int, body: str) -> dict[str, Any]:
    return {"id": number, "author": {"id": author}, "body": body}


def test_the_note_is_added_once(tmp_path: Path) -> None:
    with gitlab([note(1, 6, f"{MARKER} of somebody else"), note(2, 5, "mine, but something else")]) as api:
        post(tmp_path, api)
    notes = "/projects/3/merge_requests/9/notes"
    assert GitLab.asked == [
        ("GET", "/user", "secret", None),
        ("GET", f"{notes}?per_page=100&page=1", "secret", None),
        ("POST", notes, "secret", f"{MARKER}\nslower\n"),
    ]


def test_and_then_replaced_wherever_it_stands(tmp_path: Path) -> None:
    with gitlab([note(1, 6, "x")], [note(2, 5, f"{MARKER}\nfaster")]) as api:
        post(tmp_path, api)
    assert GitLab.asked[-1] == ("PUT", "/projects/3/merge_requests/9/notes/2", "secret", f"{MARKER}\nslower\n")
    assert [method for method, *_ in GitLab.asked] == ["GET", "GET", "GET", "PUT"]


def test_without_a_token_nothing_is_posted(tmp_path: Path) -> None:
    with gitlab() as api:
        post(tmp_path, api, token="")
    assert GitLab.asked == []


# --- base -------------------------------------------------------------------------------------------


def git(*arguments: str, cwd: Path) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def upstream_of(folder: Path) -> tuple[Path, str, str]:
    """A repository with a branch `feature`, where that began, and the commit that `main` has come to since."""
    upstream = folder / "upstream"
    upstream.mkdir()
    git("init", "-q", "-b", "main", cwd=upstream)
    git("commit", "-q", "--allow-empty", "-m", "1", cwd=upstream)
    began = git("rev-parse", "HEAD", cwd=upstream)
    git("switch", "-q", "-c", "feature", cwd=upstream)
    git("commit", "-q", "--allow-empty", "-m", "2", cwd=upstream)
    git("switch", "-q", "main", cwd=upstream)
    git("commit", "-q", "--allow-empty", "-m", "3", cwd=upstream)
    return upstream, began, git("rev-parse", "HEAD", cwd=upstream)


def test_githubs_base_is_what_the_pull_request_was_merged_with(tmp_path: Path) -> None:
    """Whatever the target branch has come to since: what is faster there is no slowdown of the pull request."""
    upstream, _, target = upstream_of(tmp_path)
    git("switch", "-q", "--detach", "main", cwd=upstream)
    git("merge", "-q", "--no-edit", "--no-ff", "feature", cwd=upstream)
    git("update-ref", "refs/pull/1/merge", "HEAD", cwd=upstream)
    git("switch", "-q", "main", cwd=upstream)
    git("commit", "-q", "--allow-empty", "-m", "4", cwd=upstream)
    clone = tmp_path / "clone"
    clone.mkdir()
    (checkout,) = (one for one in loaded(GITHUB)["jobs"]["gate"]["steps"] if "checkout" in one.get("uses", ""))
    git("init", "-q", cwd=clone)
    depth = f"--depth={checkout['with']['fetch-depth']}"
    git("fetch", "-q", depth, f"file://{upstream}", "refs/pull/1/merge", cwd=clone)
    git("checkout", "-q", "--detach", "FETCH_HEAD", cwd=clone)
    (command, _) = gate_commands()
    base = command[command.index("--base") + 1]
    with Trees(clone, tmp_path) as trees:
        assert trees.open(parse_spec(base)).commit == target
    assert command[command.index("--head") + 1] == "."


def test_gitlabs_base_is_where_the_branch_began_or_the_target_of_merged_results(tmp_path: Path) -> None:
    upstream, began, target = upstream_of(tmp_path)
    clone = tmp_path / "clone"
    git("clone", "-q", "-b", "feature", str(upstream), str(clone), cwd=tmp_path)
    lines = [line for line in job()["script"] if line.startswith(("git ", "base="))]
    script = "\n".join([*lines, 'printf %s "$base"'])
    environment = {**os.environ, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}

    def base() -> str:
        done = subprocess.run(["bash", "-e", "-c", script], cwd=clone, env=environment, check=True, capture_output=True)
        return done.stdout.decode().splitlines()[-1]

    assert base() == began
    git("merge", "-q", "--no-edit", "origin/main", cwd=clone)
    assert base() == target
