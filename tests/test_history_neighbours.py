"""Neighbouring commits: compared once, the newest first, kept small beside the runs, and shown whatever they say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from perfsuite.history import neighbours as module
from perfsuite.history.brief import CONTRIBUTORS, Brief, brief_of
from perfsuite.history.explain import Explainer, explain_runs
from perfsuite.history.model import Benchmark, Commit
from perfsuite.history.neighbours import FOLDER, NEW, KeptPairs, Neighbours, Pair, compare, neighbours
from perfsuite.history.shelf import Shelf
from perfsuite.history.site import Site
from perfsuite.present.history import words
from perfsuite.present.history.page import render_commits
from perfsuite.records import Profile
from perfsuite.store import create_run
from tests import page as pages
from tests.diff_profiles import closing_profiles
from tests.history_runs import commit as a_night_commit
from tests.history_runs import in_turns
from tests.hostile import HOSTILE
from tests.samples import an_environment
from tests.test_history_explain import AT, BEFORE, WORKLOAD, a_commit, explained, runs, sides

COMMITS = tuple(
    replace(a_commit(at, *([f"v2.{at}.0"] if at % 2 else [])), hash=f"{at + 1:x}abcdef0" * 5) for at in range(8)
)


def store(runs_dir: Path, commit: Commit, *profiles: Profile, run_id: str = "run", **environment: object) -> None:
    """A run for each profile."""
    for number, one in enumerate(profiles):
        made = an_environment(**{"git_commit": commit.hash, **environment})
        with create_run(runs_dir / commit.hash, made, run_id=f"{run_id}-{number}") as run:
            run.write(one)
            run.finish()


@pytest.fixture
def recorded(tmp_path) -> Path:
    """Eight commits with three processes each; from the sixth on a convolution takes a fifth longer."""
    for commit in COMMITS:
        base, head = sides(1.2, seed=commit.position + 1, implementation="ref:any")
        side = head if commit.position >= 5 else base
        store(tmp_path, commit, *(run.workloads[0] for run in side))
    return tmp_path


def look(runs_dir: Path, most: int = NEW, commits=COMMITS) -> tuple[Neighbours, ...]:
    """As one publication does."""
    kept = KeptPairs(runs_dir)
    found = neighbours(commits, Explainer(Shelf(runs_dir)), kept, most=most)
    kept.sweep()
    return found


def files(runs_dir: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (runs_dir / FOLDER).iterdir()}


# --- an explanation in short ------------------------------------------------------------------------


def a_brief(*, turns: bool = True, **more) -> Brief:
    return brief_of(explained(*sides(**more)), turns)


def test_it_says_what_the_explanation_says_and_is_small():
    found = explained(*sides(1.2, implementation="ref:any"))
    brief = brief_of(found, True)
    assert words.explained(brief) == words.explained(found)
    assert "from convolution_backward at ResNet.layer3: implementation of" in words.explained(brief)
    assert words.profiled(brief) == words.profiled(found)
    assert brief.claim == "slower"
    assert words.moved(brief).startswith("+")
    assert all(one.rows == () for one in brief.contributors)
    assert len(brief.contributors) + brief.more_contributors == len(found.contributors)
    assert len(json.dumps(module.to_json(brief))) < 10_000


@given(closing_profiles(), closing_profiles())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_explanation_is_found_as_it_was_kept(tmp_path_factory, base, head):
    found = explain_runs(BEFORE, AT, base.name, runs(base, base), runs(replace(head, name=base.name)))
    assert found is not None
    kept = KeptPairs(tmp_path_factory.mktemp("runs"))
    pair = Pair((brief_of(found, False),), found.environment, ("a",), ("b", "c"), 1)
    kept.keep(["a"], pair)
    assert kept.find(["a"]) == pair
    assert words.explained(pair.workloads[0]) == words.explained(found)


def test_whether_a_change_is_sure():
    assert a_brief().claim == "slower"
    head, base = sides(1.2)
    assert brief_of(explained(base, head), True).claim == "faster"
    unsure = a_brief(slower=1.0)
    assert unsure.claim == "unsure"
    assert words.moved(unsure) == "no sure change"
    alone = a_brief(processes=1)
    assert (alone.claim, words.moved(alone)) == ("unknown", "not known")
    other = tuple(replace(one, environment=an_environment(cpu_model="Another CPU")) for one in head)
    elsewhere = brief_of(explained(base, other), False)
    assert (elsewhere.claim, words.moved(elsewhere)) == ("unknown", "not known")
    assert "CPU model" in words.explained(elsewhere)
    assert elsewhere.census is not None


def test_the_census_is_told_in_few_words():
    assert words.census(a_brief(slower=1.0).census) == ["the same"]
    assert words.census(None) == ["not counted on both sides"]
    said = words.census(a_brief(implementation="ref:any").census)
    assert "implementation of convolution forward_training jit:avx512_core → ref:any in 2 places" in said
    assert said[-1] == "4 entries differ"


def test_totals_that_differ_only_by_how_they_were_added_are_the_same():
    found = explained(*sides(1.0))
    first = found.diff.census.totals[0]
    assert first.base
    census = replace(found.diff.census, totals=(replace(first, head=first.base * (1 + 1e-12)),))
    assert brief_of(replace(found, diff=replace(found.diff, census=census)), True).census.is_same
    census = replace(census, totals=(replace(first, what="bytes_moved", base=2.0**30, head=2.0**30 + 2.0**20),))
    counted = brief_of(replace(found, diff=replace(found.diff, census=census)), True).census
    assert words.census(counted) == ["bytes moved 1.00000 GiB → 1.00098 GiB"]


# --- which are compared -----------------------------------------------------------------------------


def test_each_recorded_commit_is_held_against_the_one_recorded_before_it(recorded):
    found = look(recorded, most=20)
    assert [(one.before.position, one.at.position) for one in found] == [(at - 1, at) for at in range(7, 0, -1)]
    claims = {one.at.position: one.pair.workloads[0].claim for one in found if one.pair is not None}
    assert claims[5] == "slower"
    culprit = found[2].pair.workloads[0].culprit
    assert (culprit.name, culprit.module) == ("convolution_backward", "ResNet.layer3")
    assert found[2].environment == ()
    assert found[2].report is None


def test_a_commit_without_runs_is_passed_over(recorded):
    (recorded / COMMITS[3].hash).rename(recorded / "gone")
    found = look(recorded, most=20)
    assert (2, 4) in [(one.before.position, one.at.position) for one in found]
    assert len(found) == 6
    assert look(recorded / "missing") == ()


def test_one_publication_makes_a_few_and_the_next_goes_on_there(recorded):
    first = look(recorded)
    assert [one.pair is not None for one in first] == [True] * NEW + [False] * (7 - NEW)
    made = files(recorded)
    assert len(made) == NEW
    second = look(recorded)
    assert all(one.pair is not None for one in second)
    assert second[:NEW] == first[:NEW]
    every = files(recorded)
    assert made.items() <= every.items()
    assert look(recorded) == second
    assert files(recorded) == every


def test_of_what_is_kept_no_run_is_read(recorded):
    before = look(recorded, most=20)
    for file in recorded.glob("*/run-*/workloads/*"):
        file.write_bytes(b"damaged")
    assert look(recorded) == before


def test_new_runs_of_a_commit_are_a_reason_to_compare_it_again(recorded):
    look(recorded, most=20)
    before = files(recorded)
    more = sides(1.2, seed=40)[0]
    store(recorded, COMMITS[2], *(run.workloads[0] for run in more), run_id="again")
    found = look(recorded, most=20)
    after = files(recorded)
    assert len(after) == len(before) == 7
    assert len(after.keys() - before.keys()) == 2
    assert [len(one.pair.workloads[0].runs[1]) for one in found if one.at == COMMITS[2]] == [6]


def test_another_version_of_perfsuite_compares_anew(recorded, monkeypatch):
    look(recorded, most=20)
    before = files(recorded)
    monkeypatch.setattr(module, "__version__", "99.0")
    found = look(recorded, most=2)
    assert [one.pair is not None for one in found] == [True, True, *[False] * 5]
    assert not files(recorded).keys() & before.keys()


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"format": 99}', '{"format": 1, "workloads": 3}', "\x00", '{"format": 1}',
        '{"format": 1, "workloads": [], "environment": [], "surprise": 1}',
    ],
)  # fmt: skip
def test_what_was_kept_and_is_damaged_is_compared_again(recorded, text):
    before = look(recorded, most=1)
    (file,) = files(recorded)
    whole = file.read_text()
    file.write_text(text)
    assert look(recorded, most=1) == before
    assert file.read_text() == whole


@pytest.mark.parametrize(
    ("key", "value"), [("interval", [1.0]), ("runs", [["a"]]), ("contributors", [])], ids=["end", "side", "first"]
)
def test_a_file_that_lacks_a_piece_is_damaged_too(recorded, key, value):
    look(recorded, most=20)
    kept = KeptPairs(recorded)
    shelf = Shelf(recorded)
    made_of = module._made_of(COMMITS[4], COMMITS[5], shelf)
    assert kept.find(made_of) is not None
    for file in files(recorded):
        data = json.loads(file.read_text())
        data["workloads"][0][key] = value
        file.write_text(json.dumps(data))
    assert kept.find(made_of) is None


def test_where_nothing_can_be_kept_they_are_compared_each_time(recorded):
    (recorded / FOLDER).write_text("in the way")
    assert [one.pair is not None for one in look(recorded, most=2)] == [True, True, *[False] * 5]


def test_what_only_one_side_has_and_what_cannot_be_read_is_told(tmp_path):
    base, head = sides(1.2)
    renamed = replace(head[2].workloads[0], name="lstm")
    store(tmp_path, COMMITS[0], base[0].workloads[0], replace(base[1].workloads[0], name="gone"))
    store(tmp_path, COMMITS[1], *(one.workloads[0] for one in head), renamed, torch="2.14.0")
    (tmp_path / COMMITS[1].hash / "run-1" / "run.json").write_text("{")
    lost = next((tmp_path / COMMITS[1].hash / "run-2" / "workloads").iterdir())
    lost.write_bytes(b"")
    (found,) = look(tmp_path, commits=COMMITS[:2])
    pair = found.pair
    assert pair is not None
    assert [one.workload for one in pair.workloads] == [WORKLOAD]
    assert (pair.only_before, pair.only_at, pair.damaged) == (("gone",), ("lstm",), 1)
    assert [(one.key, one.base, one.head) for one in found.environment] == [("torch", "2.13.0", "2.14.0")]
    text = pages.Page(render_commits(a_site((found,)))).text
    assert "alone: gone" in text
    assert "alone: lstm" in text
    assert "1 run could not be read in full" in text
    assert "torch 2.13.0 → 2.14.0" in text


def test_what_people_ask_for_first_of_an_environment_comes_first(tmp_path):
    base, head = sides(1.2)
    old = {"torch": "2.13.0", "torch_commit": "a" * 40, "allocator": "glibc 2.36", "python": "CPython 3.11.7"}
    new = {"torch": "2.14.0", "torch_commit": "b" * 40, "allocator": "jemalloc", "python": "CPython 3.12.1"}
    store(tmp_path, COMMITS[0], base[0].workloads[0], omp={"OMP_NUM_THREADS": "2"}, **old)
    store(tmp_path, COMMITS[1], head[0].workloads[0], omp={"OMP_NUM_THREADS": "1"}, **new)
    (found,) = look(tmp_path, commits=COMMITS[:2])
    keys = ["python", "torch", "allocator", "omp.OMP_NUM_THREADS", "torch_commit"]
    assert [one.key for one in found.environment] == keys
    page = pages.Page(render_commits(a_site((found,))))
    summary = page.all("summary")[0].text
    assert summary.startswith("Software and machine: python CPython 3.11.7 → CPython 3.12.1, torch 2.13.0 → 2.14.0")
    assert summary.endswith("1 more")
    assert "b" * 40 in page.text


def test_what_differs_for_one_workload_alone_stands_with_it(tmp_path):
    base, head = sides(1.2)
    for name, allocator in (("a", "glibc 2.36"), ("b", "jemalloc")):
        for commit, side, torch in ((COMMITS[0], base, "2.13.0"), (COMMITS[1], head, "2.14.0")):
            profiles = [replace(one.workloads[0], name=name) for one in side]
            now = allocator if commit is COMMITS[1] else "glibc 2.36"
            store(tmp_path, commit, *profiles, run_id=name, torch=torch, allocator=now)
    pair = compare(COMMITS[0], COMMITS[1], Explainer(Shelf(tmp_path)))
    assert [one.key for one in pair.environment] == ["torch"]
    assert [[one.key for one in brief.environment] for brief in pair.workloads] == [[], ["allocator"]]


def test_whether_processes_took_turns_is_told():
    shelf = in_turns({1: 20.0, 2: 20.0})
    explainer = Explainer(shelf)  # type: ignore[arg-type]
    shelf.names = lambda commit: tuple(run.id for run in shelf.runs(commit))  # type: ignore[attr-defined]
    pair = compare(a_night_commit(1), a_night_commit(2), explainer)
    assert [words.taken(one) for one in pair.workloads] == ["3 and 3 processes that took turns"]
    assert [words.taken(a_brief(turns=False))] == ["3 and 3 processes that did not take turns"]


# --- the page ---------------------------------------------------------------------------------------


def a_site(found: tuple[Neighbours, ...], **more) -> Site:
    steps = {WORKLOAD: Benchmark("steps.Steps.track_step", {"workload": WORKLOAD}, "ms")}
    graphs = {steps[WORKLOAD].label: "steps.Steps.track_step?p-workload=x"}
    known = {"neighbours": found, "steps": steps, "graphs": graphs, **more}
    return Site("a project", COMMITS, ("mill",), (), (), 0, (), (), (), (), **known)


def test_the_page_says_of_each_pair_what_changed_and_where_it_is_unsure(recorded):
    found = look(recorded, most=5)
    page = pages.Page(render_commits(a_site((replace(found[0], report="x.html"), *found[1:]))))
    pages.assert_headings_in_order(page)
    assert not page.all("script")
    articles = page.all("article", "pair")
    assert [one.attributes["id"] for one in articles] == [f"at-{one.at.hash[:12]}" for one in found]
    planted = page.by_id(f"at-{COMMITS[5].hash[:12]}").text
    assert "from convolution_backward at ResNet.layer3: implementation of" in planted
    assert "processes that" in planted
    assert f"The first {CONTRIBUTORS} contributors of" in planted
    unsure = next(one for one in found if one.pair and one.pair.workloads[0].claim == "unsure")
    said = page.by_id(f"at-{unsure.at.hash[:12]}").text
    assert "no sure change" in said
    assert "of the change" not in said
    assert "not compared yet" not in articles[0].text.lower()
    for left in articles[5:]:
        assert "Not compared yet: the next publication goes on here." in left.text
    assert "2 not compared yet" in page.text
    assert "one by one" in page.text
    assert "Report of v2.7.0" in articles[0].text
    assert f"perfsuite report latest --dir RUNS/{COMMITS[6].hash}" in articles[1].text
    links = [one.attributes["href"] for one in page.all("a")]
    between = f"commits={COMMITS[6].hash[:8]}-{COMMITS[7].hash[:8]}"
    assert f"../index.html#steps.Steps.track_step?p-workload=x&{between}" in links
    assert "reports/x.html" in links


def test_without_two_recorded_commits_the_page_says_so():
    assert "nothing to compare" in pages.Page(render_commits(a_site(()))).text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_shown_as_text(text):
    brief = a_brief(implementation="ref:any")
    contributors = tuple(
        replace(one, name=text, module=text, phase=text, cause=replace(one.cause, base=text, head=text, primitive=text))
        for one in brief.contributors
    )
    fact = module.Change(text, text, text)
    brief = replace(brief, workload=text, contributors=contributors, environment=(fact,), reasons=(text,))
    before, at = (replace(one, tags=(text,), date=text) for one in COMMITS[:2])
    pair = Pair((brief, replace(brief, reasons=())), (fact,), (text,), (text,), 1)
    found = Neighbours(before, at, pair, (fact,), None)
    steps = {text: Benchmark(text, {"workload": text})}
    html = render_commits(a_site((found,), steps=steps, graphs={steps[text].label: "x"}))
    html.encode()
    page = pages.Page(html)
    assert {one.tag for one in page.elements} <= pages.HTML | {"article"}
    assert not any(name.startswith("on") for one in page.elements for name in one.attributes)
    for link in page.all("a"):
        assert (link.attributes["href"] or "").startswith(("#", "../index.html#", "index.html", "gallery.html"))
