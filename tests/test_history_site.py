"""The published site: real asv on a made-up history, and a real browser that is allowed no other host."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reach.made_history import MadeHistory, Plant, make_history
from perfsuite.errors import RenderError
from perfsuite.history.kept import FOLDER, KeptPages
from perfsuite.history.model import Benchmark, Change, Commit
from perfsuite.history.neighbours import FOLDER as PAIRS
from perfsuite.history.neighbours import NEW
from perfsuite.history.site import Jump, dissents, label_of
from perfsuite.present.history.assets import COPIES, copies, offline, with_operators
from tests import page as pages
from tests.browser import opened_window, started_or_skipped

ROOT = Path(__file__).parent.parent
AT = 16
PLANT = Plant(AT, "resnet18", factor=1.6)


def publish(config: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asv", "publish", "--no-pull", "--config", str(config), *more]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> MadeHistory:
    """A history in which a backward convolution of ResNet18 became slower at a release, published."""
    folder = tmp_path_factory.mktemp("site") / "history"
    made = make_history(folder, 24, plants=(PLANT,), noise=0.003, kernel_at=8, release_every=4)
    done = publish(made.config)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def operators(made) -> pages.Page:
    return pages.Page((made.html_dir / "operators" / "index.html").read_text(encoding="utf-8"))


# --- what is written --------------------------------------------------------------------------------


def test_the_planted_regression_is_at_the_right_commit_with_the_right_operator(made, operators):
    (found,) = operators.all("article", "finding")
    before, at = made.commits[AT - 1].label, made.commits[AT].label
    assert at == "v2.4.0"
    assert f"{before} → {at} regression" in found.text
    assert "steps.Steps.track_step(resnet18)" in found.text
    sentence = operators.all("p", "because")[0].text
    assert "from convolution_backward at ResNet.layer3.0.conv1: implementation of convolution" in sentence
    assert "jit:avx512_core → ref:any" in sentence
    share = re.search(r"(\d+)% \((\d+)% to (\d+)%\)", sentence)
    assert share is not None
    low, high = int(share[2]), int(share[3])
    assert low <= 100 <= high


def test_there_is_a_report_of_the_finding_and_of_the_newest_commit_and_no_other(made):
    files = {path.name for path in (made.html_dir / "operators" / "reports").iterdir()}
    assert files == {f"{made.commits[at].hash[:12]}.html" for at in (AT, 23)}
    report = (made.html_dir / "operators" / "reports" / f"{made.commits[AT].hash[:12]}.html").read_text(
        encoding="utf-8"
    )
    assert "Run <code><bdi>v2.4.0</bdi></code>" in report
    assert "ref:any" in report


def test_links_lead_to_files_and_pieces_that_are_there(made):
    folder = made.html_dir / "operators"
    for name in ("index.html", "commits.html", "gallery.html"):
        page = pages.Page((folder / name).read_text(encoding="utf-8"))
        ids = {one.attributes.get("id") for one in page.elements}
        assert not page.all("script")
        for link in page.all("a"):
            file, _, piece = (link.attributes["href"] or "").partition("#")
            assert (folder / file).exists(), link.attributes["href"]
            if not file:
                assert piece in ids


def test_a_kernel_upgrade_is_a_mark_and_no_new_line(made, operators):
    assert "kernel Linux 6.1 → Linux 6.8" in operators.by_id("machine").text
    graphs = list((made.html_dir / "graphs").rglob("steps.Steps.track_step.json"))
    assert len([path for path in graphs if "summary" not in path.parts]) == 1


def test_how_it_is_found_and_where_asv_differs_is_told(operators):
    text = operators.by_id("method").text
    assert "asv's page “Regressions” comes from its own step detection" in text
    assert "agree on every regression" in text or "Regressions that only one of the two has" in text


def test_the_badge_is_there(made):
    assert "training time: 1 regression" in (made.html_dir / "badge.svg").read_text(encoding="utf-8")


def test_reports_are_made_once_and_those_that_nobody_needs_go(made, tmp_path):
    kept = list((made.runs_dir / FOLDER).iterdir())
    assert len(kept) == 2
    marked = made.runs_dir / FOLDER / "left-over.html"
    marked.write_text("old")
    kept[0].write_text("kept")
    assert publish(made.config, "--html-dir", str(tmp_path / "html")).returncode == 0
    shown = [path.read_text(encoding="utf-8") for path in (tmp_path / "html/operators/reports").iterdir()]
    assert "kept" in shown
    assert not marked.exists()


def test_pages_are_kept_by_what_they_are_made_of(tmp_path):
    kept = KeptPages(tmp_path)
    assert kept.find(["a", "b"]) is None
    kept.keep(["a", "b"], "page")
    assert kept.find(["a", "b"]) == "page"
    assert kept.find(["ab"]) is None
    KeptPages(tmp_path).sweep()
    assert kept.find(["a", "b"]) is None


def test_pages_that_cannot_be_kept_are_no_failure(tmp_path):
    (tmp_path / "runs").write_text("a file in the place of the folder")
    kept = KeptPages(tmp_path / "runs")
    kept.keep(["a"], "page")
    assert kept.find(["a"]) is None


def test_where_nothing_was_measured_the_badge_does_not_say_that_all_is_well(tmp_path):
    made = make_history(tmp_path / "history", 2, recorded=())
    for path in (made.folder / "results" / "runner").glob("*-*.json"):
        path.unlink()
    done = publish(made.config)
    assert done.returncode == 0, done.stdout + done.stderr
    badge = (made.html_dir / "badge.svg").read_text(encoding="utf-8")
    assert "not finished" in badge
    assert "no regression" not in badge


def test_without_runs_there_is_a_site_all_the_same(tmp_path):
    made = make_history(tmp_path / "history", 24, plants=(Plant(AT, factor=1.6),), recorded=(), noise=0.003)
    done = publish(made.config)
    assert done.returncode == 0, done.stdout + done.stderr
    page = pages.Page((made.html_dir / "operators/index.html").read_text(encoding="utf-8"))
    assert "what explains this is not known" in page.by_id("findings").text
    assert "No run was recorded along" in page.by_id("reports").text
    assert not (made.html_dir / "operators/reports").exists()


# --- commit by commit -------------------------------------------------------------------------------


def commits_page(made: MadeHistory) -> pages.Page:
    return pages.Page((made.html_dir / "operators" / "commits.html").read_text(encoding="utf-8"))


def pairs(made: MadeHistory) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (made.runs_dir / PAIRS).iterdir()}


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> MadeHistory:
    """A history with one pair more than a publication compares, which is the one with the change; not published yet."""
    folder = tmp_path_factory.mktemp("commits") / "history"
    return make_history(folder, NEW + 2, plants=(Plant(1, factor=1.6),), noise=0.003, kernel_at=1)


def test_a_publication_compares_a_few_neighbours_and_the_next_goes_on_there(compared):
    done = publish(compared.config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(pairs(compared)) == NEW
    articles = commits_page(compared).all("article", "pair")
    assert len(articles) == NEW + 1
    assert ["Not compared yet" in one.text for one in articles] == [False] * NEW + [True]
    assert "kernel Linux 6.1 → Linux 6.8" in articles[-1].text
    first = pairs(compared)
    assert publish(compared.config).returncode == 0
    every = pairs(compared)
    assert len(every) == NEW + 1
    assert first.items() <= every.items()
    assert "ot compared yet" not in commits_page(compared).text
    assert publish(compared.config).returncode == 0
    assert pairs(compared) == every
    planted = commits_page(compared).all("article", "pair")[-1]
    assert planted.attributes["id"] == f"at-{compared.commits[1].hash[:12]}"
    assert "from convolution_backward at ResNet.layer3.0.conv1: implementation of convolution" in planted.text
    assert "jit:avx512_core → ref:any" in planted.text
    assert "no sure change" in planted.text  # of the other workload
    assert "torch 2.8.0 → 2.8.1" in planted.text
    assert f"perfsuite report latest --dir RUNS/{compared.commits[1].hash}" in planted.text


def test_a_damaged_pair_is_compared_again_and_one_that_nobody_needs_goes(compared, tmp_path):
    if not (compared.runs_dir / PAIRS).exists():
        assert publish(compared.config).returncode == 0
    before = pairs(compared)
    damaged, *_ = before
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-10])
    (compared.runs_dir / PAIRS / "left-over.json").write_text("old")
    assert publish(compared.config, "--html-dir", str(tmp_path / "html")).returncode == 0
    assert damaged.read_bytes() == whole
    assert before.keys() <= pairs(compared).keys()
    assert not (compared.runs_dir / PAIRS / "left-over.json").exists()


def test_of_runs_that_cannot_be_read_nothing_is_linked(tmp_path):
    made = make_history(tmp_path / "history", 3)
    for file in made.runs_dir.joinpath(made.commits[2].hash).glob("*/workloads/*"):
        file.write_bytes(b"\x1f\x8b")
    done = publish(made.config)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = made.html_dir / "operators"
    for name in ("index.html", "commits.html"):
        links = [one.attributes["href"] or "" for one in pages.Page((folder / name).read_text("utf-8")).all("a")]
        assert [one for one in links if not (folder / one.partition("#")[0]).exists()] == []
    articles = commits_page(made).all("article", "pair")
    assert "3 runs could not be read in full" in articles[0].text
    assert "No workload was recorded at both." in articles[0].text
    assert "profiled" in articles[1].text.lower()


# --- asv's page -------------------------------------------------------------------------------------


def asv_page() -> str:
    import asv

    return (Path(asv.__file__).parent / "www" / "index.html").read_text(encoding="utf-8")


def test_asvs_page_loads_nothing_from_another_host():
    page = offline(asv_page())
    loads = re.findall(r"<(?:script|link|img)\b[^>]*?(?:src|href)=\"([^\"]*)\"", page)
    assert len(loads) > 15
    assert not [one for one in loads if "//" in one]
    assert "integrity" not in page
    assert "crossorigin" not in page
    files = dict(copies())
    assert {f"vendor/{name}" for name in COPIES.values()} <= set(files)
    assert {one for one in loads if one.startswith("vendor/")} <= set(files)
    assert 'href="https://github.com/airspeed-velocity/asv/"' in page  # a link that nobody has to follow


def test_every_library_has_its_licence():
    names = [name.partition("/")[2] for name, _ in copies()]
    for name in COPIES.values():
        library = re.split(r"[.-]", name)[0] if "orderBars" not in name else "flot-orderbars"
        library = "flot" if name.startswith("jquery.flot") and "orderBars" not in name else library
        assert f"{library}.LICENSE.txt" in names
    assert not [one for one in names if one not in COPIES.values() and not one.endswith(".LICENSE.txt")]


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example/new-1.0.js" integrity="sha256-x"></script>',
        "<link rel=stylesheet href='//cdn.example/new-1.0.js'>",
        '<img src="http://cdn.example/new-1.0.js">',
    ],
)
def test_something_new_that_asvs_page_loads_is_named(tag):
    with pytest.raises(RenderError, match=r"asv's page loads (https?:)?//cdn\.example/new-1\.0\.js, of which"):
        offline(asv_page().replace("</head>", f"{tag}</head>"))


def test_a_page_that_is_not_asvs_is_refused():
    with pytest.raises(RenderError, match="nav-li-regressions"):
        with_operators("<html></html>", "x", "y")


def test_what_is_wrong_is_one_line_of_asvs(made, tmp_path):
    broken = made.folder / "broken.conf.json"
    broken.write_text(made.config.read_text().replace('"imports"', '"import"'))
    done = publish(broken, "--html-dir", str(tmp_path / "html"))
    assert done.returncode == 1
    assert "unknown key 'import'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    broken.unlink()


# --- where the two detections differ ----------------------------------------------------------------


def a_commit(position: int) -> Commit:
    return Commit(f"{position:040x}", position, "")


def test_what_only_one_of_the_two_has_is_told():
    commits = [a_commit(at) for at in range(20)]
    step = Benchmark("steps.Steps.track_step", {"workload": "resnet18"}, "ms")
    change = Change(step, commits[7], commits[8], 1.1, (1.08, 1.12), 0.99, (8, 12))
    near = Jump(step.label, commits[8].hash, commits[9].hash, 10.0, 11.0)
    far = Jump(step.label, None, commits[15].hash, 10.0, 12.0)
    assert dissents([near], [change], commits) == []
    assert [(one.by, one.at) for one in dissents([far], [change], commits)] == [
        ("asv", commits[15]), ("perfsuite", commits[8]),
    ]  # fmt: skip
    undone = Change(step, commits[7], commits[8], 1.1, (1.08, 1.12), 0.99, (8, 12), commits[12])
    assert dissents([], [undone], commits) == []


def test_a_line_is_called_as_asv_writes_it_without_quotes():
    assert (
        label_of("steps.Steps.track_step", ["'resnet18'", "3", '"it\'s"'])
        == "steps.Steps.track_step(resnet18, 3, it's)"
    )
    assert label_of("kernels.Kernels.track_focal_loss", []) == "kernels.Kernels.track_focal_loss"


# --- in a browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(made) -> Iterator[str]:
    """The site on a static host."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(made.html_dir)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def window(address) -> Iterator[Any]:
    """A window without a network: only the site's own host answers."""
    with started_or_skipped() as browser, opened_window(browser) as opened:
        opened.route(lambda url: not url.startswith(address), lambda route: route.abort())
        yield opened


@pytest.fixture
def tab(window, address) -> Iterator[Any]:
    """A page; in the end it must have had no error, no failed request and none to another host."""
    troubles: list[str] = []
    page = window.new_page()
    page.on("console", lambda one: troubles.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith((address, "data:")) else troubles.append(one.url))
    page.on("response", lambda one: troubles.append(f"{one.status} {one.url}") if one.status >= 400 else None)
    yield page
    page.close()
    assert troubles == []


def test_asvs_own_pages_work_offline(tab, address):
    tab.goto(address + "index.html")
    tab.wait_for_selector("#summarygrid-display .benchmark-container")
    tab.goto(address + "index.html#/summarylist")
    tab.wait_for_selector("#summarylist-body tr td")
    tab.goto(address + "index.html#steps.Steps.track_step?p-workload=%27resnet18%27")
    tab.wait_for_selector("#main-graph canvas.flot-overlay")
    tab.goto(address + "index.html#/regressions")
    tab.wait_for_selector("#regressions-body tbody tr")
    tab.click("#regressions-body th >> nth=0")  # stupidtable sorts
    tab.wait_for_selector("#regressions-body th.asc, #regressions-body th.desc")
    assert "own step detection" in tab.inner_text("#perfsuite-note")


def test_the_navigation_leads_to_the_operators_and_back(tab, address):
    tab.goto(address + "index.html")
    tab.click("#nav-li-operators a")
    tab.wait_for_selector("article.finding")
    assert tab.url == address + "operators/index.html"
    assert tab.title() == "a-project · perfsuite history"
    tab.click("nav.asv a >> text=Commit by commit")
    tab.wait_for_selector("article.pair")
    tab.click("article.pair details.data summary >> nth=0")
    tab.wait_for_selector("article.pair details.data[open] li code")
    tab.click("article.pair tbody th a >> nth=0")
    tab.wait_for_selector("#main-graph canvas.flot-overlay")
    tab.goto(address + "operators/index.html")
    tab.click("nav.asv a >> text=Gallery")
    tab.wait_for_selector("svg.spark")
    tab.go_back()
    tab.click("nav.asv a >> text=Benchmark grid")
    tab.wait_for_selector("#summarygrid-display .benchmark-container")


def test_an_address_of_asvs_kind_leads_there_too(tab, address):
    tab.goto(address + "index.html#/operators")
    tab.wait_for_url(address + "operators/index.html")


def test_a_line_leads_to_asvs_graph_of_it_and_a_finding_to_its_report(tab, address):
    tab.goto(address + "operators/index.html")
    tab.click("article.finding a >> text=track_step(resnet18)")
    tab.wait_for_selector("#main-graph canvas.flot-overlay")
    assert "p-workload=%27resnet18%27" in tab.url
    assert "commits=" in tab.url
    tab.goto(address + "operators/index.html")
    tab.click("article.finding a >> text=Report of v2.4.0")
    tab.wait_for_selector("table.deltas")
    assert "v2.4.0" in tab.inner_text("header.page")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_the_window_and_the_theme_is_the_readers(tab, address, width, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 800})
    for name in ("index.html", "commits.html", "gallery.html"):
        tab.goto(address + "operators/" + name)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}[scheme]
