"""The documentation says what is: links lead somewhere, commands and options exist, the tutorial finds what it says."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from perfsuite.analyse.advice import Subject, advise
from perfsuite.analyse.figures import donut
from perfsuite.cli import launch, main
from perfsuite.errors import FAULT, INTERRUPTED, PerfsuiteError
from perfsuite.present.phrases import machine
from perfsuite.pytest_settings import PASSES
from perfsuite.records import Phase, Run
from perfsuite.store import create_run
from tests.samples import a_profile, an_environment

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if page.parent.name != "images")
TEXTS = [ROOT / "README.md", *PAGES]
_FENCE = re.compile(r"^(`{3,})([^\n]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|srcset)=\"([^\"]+)\"")
_ASSIGNMENT = re.compile(r"[A-Z_0-9]+=\S*")


def load(name: str):
    """A module of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, DOCS / name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its code."""
    return _INLINE.sub("code", _FENCE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return set(found)


def links(page: Path) -> Iterator[str]:
    # A link's text may be code, which `prose` leaves as a word.
    found = (written or shown for written, shown in _LINK.findall(prose(page)))
    yield from (target for target in found if not re.match(r"[a-z]+:", target))


def toctree(page: Path) -> list[Path]:
    """The pages that the page's toctrees list."""
    entries = [line for block in blocks(page, "{toctree}") for line in block.splitlines()]
    names = [entry.rpartition("<")[2].rstrip(">") for entry in entries if entry and not entry.startswith(":")]
    return [page.parent / f"{name}.md" for name in names]


def blocks(page: Path, *languages: str) -> list[str]:
    return [text for _, language, text in _FENCE.findall(page.read_text()) if language in languages]


def commands(page: Path) -> Iterator[str]:
    """Each command line that the page shows, in a block or within a sentence."""
    for text in blocks(page, "", "sh", "text"):
        for line in text.splitlines():
            start = line.removeprefix("$ ")
            if start != line or start.startswith(("perfsuite ", "pytest ")):
                yield start
    for _, code in _INLINE.findall(_FENCE.sub("", page.read_text())):
        yield " ".join(code.split())


def words(line: str) -> list[str]:
    """The words of the perfsuite command in a line, or none: of a usage line, with everything optional."""
    if "[" in line:
        line = line.replace("[", " ").replace("]", " ").replace(" | ", " ")
    try:
        found = shlex.split(line.split(" | ")[0], comments=True)
    except ValueError:
        return []
    while found and _ASSIGNMENT.fullmatch(found[0]):
        del found[0]
    return found[1:] if found[:1] == ["perfsuite"] else []


def is_any(word: str) -> bool:
    """`perfsuite COMMAND` and `perfsuite …` stand for any command."""
    return word.startswith(("-", "…")) or word.isupper()


def check(line: str, given: list[str]) -> None:
    """Let click's own parser read a command, or one of a family, without running it."""
    command, arguments = main, list(given)
    inner = click.Context(command, info_name="perfsuite")
    while isinstance(command, click.Group) and arguments and not is_any(arguments[0]):
        name = arguments.pop(0)
        known = ", ".join(command.list_commands(inner))
        assert name in command.commands, f"{line!r}: there is no command {name!r}, only {known}"
        command = command.commands[name]
        inner = click.Context(command, info_name=name, parent=inner)
    values, _, _ = command.make_parser(inner).parse_args(arguments)
    for parameter in command.params:
        value = values.get(parameter.name)
        if isinstance(value, str) and not value.isupper() and isinstance(parameter, click.Option):
            for one in value.split("|"):
                parameter.type_cast_value(inner, one if not parameter.multiple else (one,))


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{named(page)}: {link}: no such file"
        assert target.is_relative_to(ROOT), f"{named(page)}: {link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target), (
                f"{named(page)}: {link}: no such heading; there are {sorted(anchors(target))}"
            )


def test_every_page_is_in_one_toctree():
    listed = [entry for page in PAGES for entry in toctree(page)]
    assert sorted(listed) == [page for page in PAGES if page.name != "index.md"]


def test_every_page_is_in_the_map_of_the_readme():
    readme = ROOT / "README.md"
    on_the_map = {(ROOT / link.partition("#")[0]).resolve() for link in links(readme)}
    near = {entry for page in PAGES if page in on_the_map and page.name != "index.md" for entry in toctree(page)}
    assert DOCS / "index.md" in on_the_map
    assert [named(page) for page in PAGES if page not in on_the_map | near] == []


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_commands_and_their_options_exist(page):
    for line in commands(page):
        given = words(line)
        if given and not is_any(given[0]):
            try:
                check(line, given)
            except click.UsageError as error:
                pytest.fail(f"{named(page)}: {line!r}: {error.format_message()}")


@pytest.mark.parametrize(
    "line",
    [
        "perfsuite shoe",
        "perfsuite show --bye module",
        "perfsuite show --by modul",
        "perfsuite show [RUN] [--by operator|modul]",
        "perfsuite show --top",
        "perfsuite show --top none",
        "X=1 perfsuite diff a b --worklode c | head",
        "perfsuite history nightlie",
        "perfsuite history bisect lstm --god a --bad b",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line):
    with pytest.raises((click.UsageError, AssertionError)):
        check(line, words(line))


def test_every_command_is_shown_in_some_page():
    shown = {tuple(given[:2]) for page in PAGES for line in commands(page) if (given := words(line))}
    assert set(main.commands) <= {name for name, *_ in shown}
    families = {name: one for name, one in main.commands.items() if isinstance(one, click.Group)}
    assert families
    for family, group in families.items():
        assert {(family, name) for name in group.commands} <= shown


def registered() -> set[str]:
    return {name for name, _ in load("extensions/pytest_reference.py").registered().options}


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_pytest_options_exist(page):
    found = {option.rstrip("-") for option in re.findall(r"--profile-dnn[a-z-]*", page.read_text())}
    assert found <= registered()


def test_every_pytest_option_is_explained():
    page = (DOCS / "pytest.md").read_text()
    for option in registered():
        assert re.search(rf"^\| `{option}\b(?!-)", page, re.MULTILINE), f"docs/pytest.md does not explain {option}"
        # A descriptor means something to one process alone, so no file can hold it.
        assert option == "--profile-dnn-worker" or option.removeprefix("--").replace("-", "_") in page


def test_defaults_of_pytest_options_are_those_of_the_code():
    page = (DOCS / "pytest.md").read_text()
    said = dict(re.findall(r"^\| `(--profile-dnn[a-z-]+)[^|]*\| [^|]*\| `?([^|`]+)`? \|", page, re.MULTILINE))
    helps = {name: text["help"] for name, text in load("extensions/pytest_reference.py").registered().options}
    assert set(said) == {name for name, text in helps.items() if "(default: " in text}
    for name, default in said.items():
        # What is long there is a word here.
        words = {"all": ",".join(PASSES), "off": "report.html in the folder of the run"}
        assert f"(default: {words.get(default, default)})" in helps[name]


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_python_examples_are_python(page):
    for code in blocks(page, "python"):
        typed = [example.source for example in doctest.DocTestParser().get_examples(code)]
        lines = "".join(typed or [code]).splitlines()
        lines = [line for line in lines if not line.startswith("%")]  # IPython's own
        compile("\n".join(lines), named(page), "exec")


def test_the_examples_of_the_reference_run(tmp_path, monkeypatch, capsys):
    waiting = a_profile(phases=(Phase("data", (60_000, 60_000)),))
    writer = create_run(tmp_path / ".perfsuite", an_environment())
    writer.write(waiting)
    writer.finish()
    monkeypatch.chdir(tmp_path)
    examples = [(page, code) for page in PAGES if page.parent.name == "reference" for code in blocks(page, "python")]
    assert examples
    for page, code in examples:
        exec(compile(code, named(page), "exec"), {})
    found = [f"{one.rule} {one.stake.ns}" for one in advise(Subject(waiting, an_environment())).findings]
    assert found
    assert capsys.readouterr().out.splitlines() == found


def test_a_name_that_could_be_several_is_noticed():
    places = load("extensions/docstrings.py").places
    entry = SimpleNamespace(aliased=False)
    documented = dict.fromkeys(("a.Run", "a.b.Run", "c.Run", "a.b.Other"), entry)
    assert places("a.b.x.Run", documented) == ["a.b.Run"]
    assert places("Run", documented) == ["a.Run", "a.b.Run", "c.Run"]
    assert places("Other", documented) == ["a.b.Other"]
    assert places("Nothing", documented) == []


def test_exit_codes_are_those_of_the_code():
    page = (DOCS / "reference" / "exit-codes.md").read_text()
    assert f"| {PerfsuiteError.exit_code} | every command |" in page
    assert f"| {INTERRUPTED} | every command |" in page
    assert f"| {FAULT} | every command |" in page
    assert f"| {PerfsuiteError.exit_code} | `gate` |" in page
    assert f"| {launch._NOT_EXECUTABLE}, {launch._NOT_FOUND} | `launch` |" in page


def test_exit_codes_of_a_history_are_those_of_the_code():
    from perfsuite.cli.history import _INCONCLUSIVE
    from perfsuite.history.nightly import REGRESSED, UNMEASURED

    every, nights = (DOCS / name for name in ("reference/exit-codes.md", "history/nightly.md"))
    for code in (REGRESSED, PerfsuiteError.exit_code, UNMEASURED):
        assert f"| {code} | `history nightly` |" in every.read_text()
        assert f"| {code} | " in nights.read_text()
    assert f"| {_INCONCLUSIVE} | `history bisect` |" in every.read_text()
    assert f"with exit code {_INCONCLUSIVE}" in nights.read_text()


class Resources(HTMLParser):
    """What a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        names = ("src", "data", "poster", "srcset") if tag != "link" else ("href",)
        if tag == "link" and given.get("rel") in ("next", "prev", "index", "search", "canonical"):
            return
        self.found += [given[name] for name in names if given.get(name)]


def foreign(address: str) -> bool:
    return re.match(r"\s*(?:(?!data:)[a-z][a-z0-9+.-]*:|//)", address, re.IGNORECASE) is not None


@pytest.mark.parametrize(
    ("address", "another_host"),
    [
        ("https://a.b/c.js", True),
        ("//a.b/c.js", True),
        (" HTTP://a.b", True),
        ("_static/a.css?v=1", False),
        ("../a.svg", False),
        ("data:image/svg+xml,<svg>", False),
        ("#icon", False),
    ],
)
def test_what_is_on_another_host(address, another_host):
    assert foreign(address) is another_host


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    # As `make docs` does, but for each page's list of the objects on it, which takes a third of the time.
    strict = ["--quiet", "--fail-on-warning", "--keep-going", "--nitpicky", "-D", "toc_object_entries=0"]
    command = [sys.executable, "-m", "sphinx", *strict, "-d", str(out / "trees"), str(DOCS), str(out / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"


def test_the_site_builds_without_a_warning_and_has_every_page(site):
    for page in PAGES:
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file()


def test_the_site_loads_nothing_from_another_host(site):
    looked = 0
    for page in site.rglob("*.html"):
        parser = Resources()
        parser.feed(page.read_text())
        looked += len(parser.found)
        assert [address for address in parser.found if foreign(address)] == [], page.name
    for sheet in site.rglob("*.css"):
        addresses = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", sheet.read_text())
        assert [one for pair in addresses for one in pair if one and foreign(one)] == [], sheet.name
    assert looked > len(PAGES)


def test_the_reference_has_the_commands_the_options_and_the_records(site):
    cli = (site / "reference" / "cli.html").read_text()
    for name, command in main.commands.items():
        assert f'id="perfsuite-{name}"' in cli
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert f"perfsuite-{name}-{parameter.opts[-1].lstrip('-')}" in cli
    options = (site / "reference" / "pytest.html").read_text()
    assert all(option in options for option in registered())
    assert 'id="perfsuite.records.Operator.bytes_moved"' in (site / "reference" / "records.html").read_text()


def test_the_tutorial_finds_what_it_says(tmp_path, monkeypatch):
    # What it finds it finds by counts; one thread does not wait for the other where tests run side by side.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--benchmark-max-time=0.05 --profile-dnn-steps=3 -p no:cacheprovider")
    recorder = load("record_tutorial.py")
    page = (DOCS / "tutorial.md").read_text()
    played = recorder.replay(page, tmp_path)

    def outputs(text: str) -> dict[str, str]:
        shown = [block for _, _, block in _FENCE.findall(text) if block.startswith("$ ")]
        return {block.splitlines()[0]: block for block in shown}

    before, now = outputs(page), outputs(played)
    assert list(before) == list(now)
    for shown in (before, now):
        assert "[frozen-backward]" in shown["$ perfsuite advise"].split("\n2. ")[0]
        assert re.search(r"looked and found nothing[^:]*:\s+frozen-backward", shown["$ perfsuite advise | tail -6"])
    # Which rows are the first four goes by time: today's are looked for among all.
    compared = "perfsuite diff latest~1 latest --top 4"
    removed = r"aten::convolution_backward[^\n]*\n\s+Sequential\.0\.4 backward\n\s+count 1 → –"
    assert re.search(removed, before[f"$ {compared}"])
    assert re.search(removed, recorder.run(compared.replace("--top 4", "--top 1000"), tmp_path))


def test_the_shares_of_the_donuts_stand_beside_those_of_the_paper():
    figures = load("figures.py")
    run = Run("r", "2026-11-21T00:00:00+00:00", "complete", an_environment())
    ran, did_not_run = a_profile(), a_profile(primitives=())
    table = figures.shares({"lstm": (run, ran), "transformer": (run, did_not_run)})
    wedge = donut(ran).wedges[0]
    first, second = table.splitlines()[2:4]
    assert f"{wedge.name} {wedge.part} {wedge.share:.0%}" in first
    assert "rnn BWD 55%" in first
    assert "(operators: no primitive ran)" in second
    assert "matmul 29%" in second
    assert table.endswith(f"Recorded on {machine(run)}.\n")
    assert set(figures.PAPER) == set(figures.MODELS)


def test_a_diff_that_does_not_fit_the_file_is_an_error():
    patched = load("record_tutorial.py").patched
    assert patched("a\nb\nc\n", " a\n+x\n b\n") == "a\nx\nb\nc\n"
    assert patched("a\nb\nc\n", "-b\n") == "a\nc\n"
    with pytest.raises(ValueError, match="0 times"):
        patched("a\nb\n", " c\n+x\n")
    with pytest.raises(ValueError, match="2 times"):
        patched("a\na\n", " a\n+x\n")
