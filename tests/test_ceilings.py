"""Ceilings: what a measurement says of itself, how it is stored, and one real, short measurement."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.capture import ceilings as measuring
from perfsuite.capture.caches import FALLBACK, cache_levels
from perfsuite.ceilings import CacheLevel, Ceiling, Ceilings, fingerprint, fingerprint_facts
from perfsuite.cli import main
from perfsuite.errors import StoreError, UsageError
from perfsuite.present.roofline import ceilings_json, render_ceilings
from perfsuite.records import Environment, Profile
from perfsuite.store import create_run
from perfsuite.store.ceilings import ceilings_path, differences, load_ceilings, save_ceilings
from tests.samples import an_environment
from tests.test_roofline import CEILINGS, PROFILE

# --- what a measurement says of itself --------------------------------------------------------------


def test_the_roof_is_the_best_repeat_and_the_spread_says_how_far_the_median_is():
    roof = Ceiling("copy", "DRAM", 1, (8.0, 10.0, 9.0, 8.0, 8.0, 8.0))
    assert (roof.best, roof.median, roof.interval) == (10.0, 8.0, (8.0, 10.0))
    assert roof.spread == pytest.approx(0.2)
    assert roof.noisy
    assert not Ceiling("copy", "DRAM", 1, (9.5, 10.0, 9.6)).noisy


@given(st.lists(st.floats(1e-3, 1e15), min_size=1))
def test_a_spread_is_a_share(rates):
    assert 0 <= Ceiling("copy", "DRAM", 1, tuple(rates)).spread <= 1


def test_warnings_name_what_was_noisy_and_what_was_running():
    assert CEILINGS.warnings == ()
    disturbed = replace(
        CEILINGS, load_average=3.2, roofs=(Ceiling("matmul", "float32", 1, (1.0, 2.0, 1.0)), *CEILINGS.roofs[1:])
    )
    contended, noisy = disturbed.warnings
    assert "3.2 processes" in contended
    assert "float32 matmul 50%" in noisy
    assert not replace(CEILINGS, load_average=None).contended


def test_the_nearest_level_that_holds_the_bytes():
    assert [CEILINGS.level_of(n) for n in (0, 65536, 65537, 2**21, 2**21 + 1)] == ["L1", "L1", "L2", "L2", "DRAM"]


def test_the_bandwidth_of_a_level_is_the_faster_loop():
    assert CEILINGS.bandwidth("L2") == Ceiling("triad", "L2", 2**20, (100e9,))
    assert CEILINGS.bandwidth("L9") is None
    assert CEILINGS.peak("float64") is None


def test_the_peak_is_the_faster_product():
    convolution = Ceiling("convolution", "float32", 256, (230e9,))
    assert CEILINGS.peak("float32").kind == "matmul"
    assert replace(CEILINGS, roofs=(*CEILINGS.roofs, convolution)).peak("float32") == convolution


# --- caches -----------------------------------------------------------------------------------------


def a_machine(root: Path, l3: str = "32768K") -> Path:
    """Two CPUs with an L1 and an L2 each, and one L3."""
    for cpu in (0, 1):
        levels = [
            ("1", "Data", "48K", f"{cpu}"),
            ("1", "Instruction", "32K", f"{cpu}"),
            ("2", "Unified", "1M", f"{cpu}"),
            ("3", "Unified", l3, "0-1"),
        ]
        for index, values in enumerate(levels):
            folder = root / f"cpu{cpu}" / "cache" / f"index{index}"
            folder.mkdir(parents=True)
            for name, value in zip(("level", "type", "size", "shared_cpu_list"), values, strict=True):
                (folder / name).write_text(value + "\n")
    return root


def test_cache_sizes_are_what_the_threads_have_together(tmp_path):
    root = a_machine(tmp_path)
    kib = 1024
    both = (CacheLevel("L1", 96 * kib), CacheLevel("L2", 2048 * kib), CacheLevel("L3", 32768 * kib))
    assert cache_levels(root, [0, 1], 2) == ((*both, CacheLevel("DRAM", None)), True)
    one = (CacheLevel("L1", 48 * kib), CacheLevel("L2", 1024 * kib), CacheLevel("L3", 32768 * kib))
    assert cache_levels(root, [0, 1], 1)[0][:3] == one
    assert cache_levels(root, [0], 4)[0][:3] == one


def test_where_the_kernel_says_nothing_sizes_are_assumed_and_said_to_be(tmp_path):
    levels, told = cache_levels(tmp_path, [0, 1], 2)
    assert not told
    assert [level.name for level in levels] == [name for name, _, _ in FALLBACK] + ["DRAM"]
    assert levels[0].bytes == 2 * FALLBACK[0][1]


def test_a_cache_of_unreadable_size_is_left_out(tmp_path):
    levels, _ = cache_levels(a_machine(tmp_path, l3="many"), [0, 1], 2)
    assert [level.name for level in levels] == ["L1", "L2", "DRAM"]


# --- stored -----------------------------------------------------------------------------------------


def test_a_round_trip(tmp_path):
    path = save_ceilings(tmp_path / "runs", CEILINGS)
    assert load_ceilings(tmp_path / "runs", CEILINGS.environment, 2) == CEILINGS
    assert path.parent == tmp_path / "runs" / "machine"
    assert json.loads(path.read_text())["format"] == 1
    assert (tmp_path / "runs" / ".gitignore").read_text() == "*\n"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "changes",
    [
        {"cpu_model": "Another CPU"}, {"isa": ("avx2",)}, {"usable_cpus": 2}, {"torch": "2.12.0"},
        {"governor": "powersave"}, {"onednn": ({"version": "v3.7.0", "commit": "80afa710"},)},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_another_environment_has_no_ceilings_here(tmp_path, changes):
    save_ceilings(tmp_path, CEILINGS)
    other = replace(CEILINGS.environment, **changes)
    assert load_ceilings(tmp_path, other, 2) is None
    assert load_ceilings(tmp_path, CEILINGS.environment, 1) is None
    (line,) = differences(tmp_path, other, 2)
    assert " instead of " in line


def test_what_changes_from_run_to_run_does_not_matter(tmp_path):
    save_ceilings(tmp_path, CEILINGS)
    heard = {"version": "v3.12.0", "commit": "80afa710", "built_into": "torch", "threads": "2"}
    of_the_run = replace(
        CEILINGS.environment, git_commit="another", allocator="tcmalloc", omp={"ONEDNN_VERBOSE_TIMESTAMP": "1"},
        onednn=(heard, {"version": "v3.7.0", "built_into": "ipex"}),
    )  # fmt: skip
    assert load_ceilings(tmp_path, of_the_run, 2) == CEILINGS


@given(st.lists(st.text(), max_size=3), st.integers(1, 512))
def test_equal_facts_have_equal_names(isa, threads):
    first = fingerprint_facts(an_environment(isa=tuple(isa)), threads)
    assert fingerprint(first) == fingerprint(json.loads(json.dumps(first)))
    assert fingerprint(first) != fingerprint({**first, "threads": threads + 1})


def damaged(text: str) -> dict[str, str]:
    value = json.loads(text)
    roof = value["roofs"][0]
    return {
        "not JSON": text[:-20],
        "empty": "",
        "a list": "[]",
        "no format": json.dumps({key: value[key] for key in value if key != "format"}),
        "another format": json.dumps({**value, "format": 99}),
        "an unknown key": json.dumps({**value, "extra": 1}),
        "no rates": json.dumps({**value, "roofs": [{**roof, "rates": []}]}),
        "a rate of zero": json.dumps({**value, "roofs": [{**roof, "rates": [0.0]}]}),
        "not a number": json.dumps({**value, "roofs": [{**roof, "rates": [float("nan")]}]}),
        "no overhead": json.dumps({**value, "empty_operator_ns": []}),
        "another machine's": json.dumps({**value, "threads": 7}),
    }


@pytest.mark.parametrize("how", damaged(json.dumps({"roofs": [{"rates": [1.0]}]})))
def test_a_damaged_file_is_one_clear_line(tmp_path, how):
    path = save_ceilings(tmp_path, CEILINGS)
    path.write_text(damaged(path.read_text())[how])
    with pytest.raises(
        StoreError, match=r"machine/\w+\.json: .*; measure again with: perfsuite machine --remeasure"
    ) as e:
        load_ceilings(tmp_path, CEILINGS.environment, 2)
    assert "\n" not in str(e.value)


def test_what_cannot_be_written_or_read_is_one_clear_line(tmp_path):
    (tmp_path / "machine").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        save_ceilings(tmp_path, CEILINGS)
    with pytest.raises(StoreError, match="cannot be read"):
        load_ceilings(tmp_path, CEILINGS.environment, 2)


def test_a_folder_of_ceilings_is_no_run(tmp_path):
    save_ceilings(tmp_path, CEILINGS)
    assert "no runs in" in run_cli("list", "--dir", str(tmp_path)).stderr


# --- a real, short measurement ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured() -> Ceilings:
    """All of it, with less of each: this is no place to find out how fast a machine is."""
    quick = {
        "_SIZES": (64, 128),
        "_REPEATS": 6,
        "_SECONDS_A_SIZE": 0.02,
        "_BYTES_A_CALL": 2**20,
        "_BEYOND_LAST_CACHE": 1,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in quick.items():
            patch.setattr(measuring, name, value)
        return measuring.measure_ceilings(1)


def test_every_level_and_the_usual_data_types_have_a_roof(measured):
    assert measured.threads == 1
    assert measured.environment.torch == torch.__version__
    for level in measured.levels:
        bandwidth = measured.bandwidth(level.name)
        assert bandwidth is not None
        assert bandwidth.best > 0
    missing = [dtype for dtype in measuring.DTYPES if measured.peak(dtype) is None]
    assert "float32" not in missing
    assert "bfloat16" not in missing
    assert all(any(note.startswith(f"{dtype}: no matrix product") for note in measured.notes) for dtype in missing)


def test_working_sets_lie_well_inside_their_level_and_beyond_the_one_before(measured):
    for kind in ("copy", "triad"):
        before = 0
        for level in measured.levels:
            (roof,) = [roof for roof in measured.roofs if (roof.kind, roof.name) == (kind, level.name)]
            assert roof.size > before / 2
            assert level.bytes is None or roof.size <= level.bytes / 2
            before = level.bytes or 0


def test_an_operator_on_one_element_takes_time(measured):
    assert len(measured.empty_operator_ns) == 6
    assert measured.overhead_ns == 2 * measured.empty_operator_median_ns > 0


def test_a_measurement_survives_the_store(measured, tmp_path):
    save_ceilings(tmp_path, measured)
    assert load_ceilings(tmp_path, measured.environment, 1) == measured
    assert json.loads(json.dumps(ceilings_json(measured), allow_nan=False))["threads"] == 1


@pytest.mark.parametrize("kind", ["copy", "triad"])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("length", [100, 1000, 20000])
def test_the_loop_writes_every_element_of_every_window(kind, threads, length):
    call, moved, size = measuring._loop(kind, threads, length, repeat=True)
    written = call()
    assert isinstance(written, torch.Tensor)
    arrays = 2 if kind == "copy" else 3
    assert moved == written.numel() * 4 * arrays
    assert size == threads * length * 4 * arrays
    # Windows reach over all of a thread's part and not into the next one.
    first, *shifts, window = written.stride()[0], *written.stride()[1:-1], written.shape[-1]
    reach = sum(shift * (count - 1) for shift, count in zip(shifts, written.shape[1:-1], strict=True))
    assert reach + window == length <= first
    assert len(set(shifts)) == len(shifts)


def test_the_loops_compute_what_they_say():
    for kind, expected in (("copy", 1.0), ("triad", 1.5)):
        call, _, _ = measuring._loop(kind, 2, 2000, repeat=True)
        target = call()
        sources = [
            cell.cell_contents for cell in call.__closure__ or () if isinstance(cell.cell_contents, torch.Tensor)
        ]
        for tensor in sources:
            if tensor is not target:
                tensor.fill_(1.0)
        assert torch.equal(call(), torch.full_like(target, expected))


def test_the_number_of_threads_is_put_back():
    before = torch.get_num_threads()
    with measuring.torch_threads(1) as count:
        assert (count, torch.get_num_threads()) == (1, 1)
    with pytest.raises(ZeroDivisionError), measuring.torch_threads(1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
    with measuring.torch_threads(None) as count:
        assert count == before


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_threads_that_nobody_has_are_refused(threads):
    with pytest.raises(UsageError, match=r"threads: .* is not between 1 and"):
        measuring.measure_ceilings(threads)


def test_a_data_type_without_a_product_is_said_to_have_none(monkeypatch):
    monkeypatch.setattr(torch, "_int_mm", lambda *_: (_ for _ in ()).throw(RuntimeError("no such kernel\nmore")))
    assert measuring._matmul("int8") == "no such kernel"


def test_limits_that_a_user_set_are_noted(monkeypatch):
    monkeypatch.setattr(measuring, "_SIZES", (16,))
    monkeypatch.setattr(measuring, "_REPEATS", 3)
    monkeypatch.setattr(measuring, "cache_levels", lambda *_: ((CacheLevel("L1", 2**16),), False))
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    notes = measuring.measure_ceilings(1).notes
    assert "measured with MKL_CBWR=COMPATIBLE" in notes
    assert any("sizes are assumed" in note for note in notes)


# --- the command line -------------------------------------------------------------------------------


def run_cli(*arguments: str):
    return CliRunner().invoke(main, arguments)


def a_run(directory: Path, environment: Environment, *profiles: Profile) -> None:
    with create_run(directory, environment) as writer:
        for profile in profiles:
            writer.write(profile)
        writer.finish()


@pytest.fixture
def stored(tmp_path):
    a_run(tmp_path, CEILINGS.environment, PROFILE)
    save_ceilings(tmp_path, CEILINGS)
    return tmp_path


def test_roofline_shows_a_run_under_its_ceilings(stored):
    result = run_cli("roofline", "latest", "--dir", str(stored))
    assert result.exit_code == 0
    assert "compute-bound" in result.stdout
    assert "bytes known for 70.0%" in result.stdout
    primitives = run_cli("roofline", "latest", "--dir", str(stored), "--primitives", "--top", "1")
    assert "top 1 of 2 primitive rows" in primitives.stdout


def test_roofline_as_json(stored):
    value = json.loads(run_cli("roofline", "latest", "--dir", str(stored), "--json").stdout)
    assert value["format"] == 1
    assert value["ceilings"]["threads"] == 2
    assert len(value["workloads"][0]["operators"]) == 3


def test_roofline_without_ceilings_says_how_to_get_them(stored):
    shutil.rmtree(stored / "machine")
    result = run_cli("roofline", "latest", "--dir", str(stored))
    assert result.exit_code == 0
    assert "bound" not in result.stdout.replace("Bound", "")
    assert "perfsuite machine --threads 2" in result.stderr


def test_roofline_does_not_use_ceilings_of_another_machine(stored):
    shutil.rmtree(stored / "machine")
    save_ceilings(stored, replace(CEILINGS, environment=replace(CEILINGS.environment, torch="2.8.0")))
    result = run_cli("roofline", "latest", "--dir", str(stored))
    assert "torch 2.8.0 instead of 2.13.0" in result.stderr
    assert "compute-bound" not in result.stdout


def test_roofline_with_damaged_ceilings_shows_the_rest(stored):
    ceilings_path(stored, fingerprint_facts(CEILINGS.environment, 2)).write_text("{")
    result = run_cli("roofline", "latest", "--dir", str(stored))
    assert result.exit_code == 0
    assert "damaged" in result.stderr
    assert "aten::mm" in result.stdout


def test_roofline_of_a_workload_that_is_not_there_lists_those_that_are(stored):
    assert "net" in run_cli("roofline", "latest", "--workload", "net", "--dir", str(stored)).stdout
    code = [sys.executable, "-m", "perfsuite.cli", "roofline", "latest", "--workload", "nat", "--dir", str(stored)]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("perfsuite: error: --workload 'nat' is not in run")
    assert done.stderr.rstrip().endswith("which has: net")
    assert done.stderr.count("\n") == 1


def test_roofline_does_not_load_torch(stored):
    code = (
        "import sys; from click.testing import CliRunner; from perfsuite.cli import main;"
        f"r = CliRunner().invoke(main, ['roofline', 'latest', '--dir', {str(stored)!r}]);"
        "print(r.exit_code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]


def test_machine_measures_once_and_reads_back(tmp_path, monkeypatch):
    calls = []

    def measure(threads, report):
        calls.append(threads)
        return replace(CEILINGS, environment=environment_here(), threads=torch.get_num_threads())

    monkeypatch.setattr(measuring, "measure_ceilings", measure)
    first = run_cli("machine", "--dir", str(tmp_path))
    assert first.exit_code == 0
    assert "float32" in first.stdout
    again = run_cli("machine", "--dir", str(tmp_path), "--json")
    assert json.loads(again.stdout)["roofs"][0]["best"] == 100e9
    assert calls == [None]
    run_cli("machine", "--dir", str(tmp_path), "--remeasure")
    assert calls == [None, None]


def environment_here() -> Environment:
    from perfsuite.capture.torch_facts import torch_facts
    from perfsuite.environment import gather_environment

    return gather_environment(torch_facts())


def test_machine_refuses_threads_that_nobody_has(tmp_path):
    too_many = str(len(os.sched_getaffinity(0)) + 1)
    result = run_cli("machine", "--threads", too_many, "--dir", str(tmp_path))
    assert result.exit_code == 2
    assert "is not between 1 and" in result.stderr


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_table_of_ceilings_fits_its_width(width):
    text = render_ceilings(replace(CEILINGS, load_average=9.0, notes=("a note",)), width=width, color=False)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for part in ("float32", "100", "L2 triad", "DRAM copy", "contended: 9.0", "note: a note", "500 ns"):
        assert part in words
