"""A site takes the place of another one: at no moment there is none, or a part of one."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from perfsuite.history import swap
from perfsuite.history.asv_files import HistoryError
from perfsuite.history.asv_process import Asv, End
from perfsuite.history.swap import put_back, replace_folder


class KilledError(BaseException):
    """As SIGKILL: nobody catches it."""


def a_site(folder: Path, text: str) -> Path:
    """Two files that say which site they are of."""
    folder.mkdir()
    for name in ("index.html", "graphs.json"):
        (folder / name).write_text(text)
    return folder


def said(folder: Path) -> set[str]:
    """What the files in it say: one thing, if it is whole."""
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["graphs.json", "index.html"]
    return {(folder / name).read_text() for name in names}


def without_exchange(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(swap, "_exchange", lambda one, other: False)


def exchanges(folder: Path) -> None:
    """Say so if this file system cannot do what is to be tested."""
    first, second = a_site(folder / "first", "1"), a_site(folder / "second", "2")
    if not swap._exchange(first, second):
        pytest.skip("NOT TESTED: this kernel or file system cannot exchange two names")
    assert (said(first), said(second)) == ({"2"}, {"1"})
    shutil.rmtree(first)
    shutil.rmtree(second)


@pytest.mark.parametrize("exchange", [True, False])
def test_the_new_one_is_there_and_of_the_old_one_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        without_exchange(monkeypatch)
    target = tmp_path / "html"
    for text in ("first", "second", "third"):
        replace_folder(a_site(tmp_path / ".html.new", text), target)
        assert said(target) == {text}
        assert os.listdir(tmp_path) == ["html"]


def test_whoever_looks_always_finds_a_site(tmp_path: Path) -> None:
    exchanges(tmp_path)
    target, over, looked, missing = a_site(tmp_path / "html", "0"), threading.Event(), 0, 0

    def look() -> None:
        nonlocal looked, missing
        while not over.is_set():
            looked += 1
            missing += not (target / "index.html").exists()

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(1, 200):
            replace_folder(a_site(tmp_path / ".html.new", str(number)), target)
    finally:
        over.set()
        reader.join()
    assert said(target) == {"199"}
    assert looked > 0
    assert missing == 0


@pytest.mark.parametrize("exchange", [True, False])
def test_killed_anywhere_there_is_a_whole_one_and_the_next_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    """Before its n-th change of a folder, for each n there is."""
    if exchange:
        exchanges(tmp_path)
    for step in range(1, 10):
        folder = tmp_path / f"{step}"
        folder.mkdir()
        target = a_site(folder / "html", "old")
        made = a_site(folder / ".html.new", "new")
        with pytest.MonkeyPatch.context() as patch:
            if not exchange:
                without_exchange(patch)
            _kill_at(patch, step)
            try:
                replace_folder(made, target)
            except KilledError:
                killed = True
            else:
                killed = False
        if exchange:
            assert said(target) in ({"old"}, {"new"})
        put_back(target)
        assert said(target) in ({"old"}, {"new"})
        # As asv does with what it finds there.
        shutil.rmtree(made, ignore_errors=True)
        monkeypatch.undo()
        if not exchange:
            without_exchange(monkeypatch)
        replace_folder(a_site(made, "next"), target)
        assert said(target) == {"next"}
        assert os.listdir(folder) == ["html"]
        if not killed:
            assert step > (2 if exchange else 3)
            return
    pytest.fail("it never came to its end")


def _kill_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Kill whoever changes folders before his change number ``step``."""
    left = [step]

    def counted(change: Any) -> Any:
        def called(*arguments: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] <= 0:
                raise KilledError
            return change(*arguments, **more)

        return called

    patch.setattr(swap, "_exchange", counted(swap._exchange))
    patch.setattr(Path, "rename", counted(Path.rename))
    patch.setattr(shutil, "rmtree", counted(shutil.rmtree))


def test_a_new_one_that_cannot_be_put_there_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_exchange(monkeypatch)
    target = a_site(tmp_path / "html", "old")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / ".html.new", target)
    assert said(target) == {"old"}
    assert os.listdir(tmp_path) == ["html"]


def test_a_file_is_no_site(tmp_path: Path) -> None:
    (tmp_path / "html").write_text("mine")
    with pytest.raises(NotADirectoryError) as error:
        replace_folder(a_site(tmp_path / ".html.new", "new"), tmp_path / "html")
    assert error.value.errno == errno.ENOTDIR
    assert (tmp_path / "html").read_text() == "mine"


# --- what asv publishes -----------------------------------------------------------------------------


@pytest.fixture
def publisher(tmp_path: Path) -> Asv:
    return Asv(tmp_path / "asv.conf.json", "mill", tmp_path / "state", tmp_path / "log")


def publishing(patch: pytest.MonkeyPatch, text: str, code: int = 0, killed: bool = False) -> None:
    """asv writes a site where it is told to; a part of it, if it is killed."""

    def run(self: Asv, command: Sequence[str], watch: Any = None) -> End:
        folder = Path(command[command.index("--html-dir") + 1])
        shutil.rmtree(folder, ignore_errors=True)
        a_site(folder, text)
        if killed:
            (folder / "graphs.json").unlink()
            raise KilledError
        return End(code, "ValueError: no" if code else None)

    patch.setattr(Asv, "_run", run)


def test_a_publication_that_ends_in_the_middle_leaves_the_old_site(
    tmp_path: Path, publisher: Asv, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "deep" / "html"
    publishing(monkeypatch, "old")
    publisher.publish(target)
    assert said(target) == {"old"}
    publishing(monkeypatch, "half", killed=True)
    with pytest.raises(KilledError):
        publisher.publish(target)
    assert said(target) == {"old"}
    publishing(monkeypatch, "failed", code=1)
    with pytest.raises(HistoryError, match=r"^the site was not made, asv publish: ValueError: no; see .*log$"):
        publisher.publish(target)
    assert said(target) == {"old"}
    publishing(monkeypatch, "new")
    publisher.publish(target)
    assert said(target) == {"new"}
    assert os.listdir(target.parent) == ["html"]


def test_a_site_behind_a_link_stays_behind_it(tmp_path: Path, publisher: Asv, monkeypatch: pytest.MonkeyPatch) -> None:
    a_site(tmp_path / "served", "old")
    (tmp_path / "html").symlink_to(tmp_path / "served")
    publishing(monkeypatch, "new")
    publisher.publish(tmp_path / "html")
    assert (tmp_path / "html").is_symlink()
    assert said(tmp_path / "served") == {"new"}


def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, publisher: Asv, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    publishing(monkeypatch, "new")
    with pytest.raises(HistoryError, match=r"file/html: the site cannot be written: ") as error:
        publisher.publish(tmp_path / "file" / "html")
    assert "\n" not in str(error.value)
