from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite import __version__, environment
from perfsuite.capture.torch_facts import onednn_copies, torch_facts
from perfsuite.codec import from_json, to_json
from perfsuite.environment import gather_environment
from perfsuite.records import Environment

ROOT = Path(__file__).parent.parent

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu sse4_2 fma avx f16c avx2 avx512f avx512bw avx512_vnni avx512_bf16 avx512_fp16 amx_bf16 amx_tile avx_vnni

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM = """processor\t: 0
BogoMIPS\t: 2000.00
Features\t: fp asimd sve bf16 i8mm
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


def test_what_is_here_is_found() -> None:
    here = gather_environment()
    assert here.cpu_model
    assert here.logical_cpus == psutil.cpu_count()
    assert 1 <= here.usable_cpus == len(os.sched_getaffinity(0)) <= here.logical_cpus
    assert here.ram_bytes == psutil.virtual_memory().total
    assert here.kernel == f"Linux {os.uname().release}"
    assert here.python.endswith(sys.version.split()[0])
    assert here.perfsuite == __version__
    assert here.torch is None
    assert from_json(Environment, json.loads(json.dumps(to_json(here)))) == here


def test_cpu_model_and_flags_of_x86() -> None:
    assert environment._cpu_model(X86) == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert environment._isa(X86) == (
        "amx_bf16", "amx_tile", "avx", "avx2", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512bw", "avx512f",
        "avx_vnni", "f16c", "fma",
    )  # fmt: skip


def test_cpu_model_and_flags_of_arm() -> None:
    assert environment._cpu_model(ARM) == "Arm implementer 0x41 part 0xd40"
    assert environment._isa(ARM) == ("asimd", "bf16", "fp", "i8mm", "sve")


@given(st.text())
def test_any_cpuinfo_is_read_without_complaint(text: str) -> None:
    assert environment._cpu_model(text) is None or ":" in text
    assert isinstance(environment._isa(text), tuple)


def test_what_cannot_be_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_read", lambda path: None)
    monkeypatch.setattr(environment, "_address_of_malloc", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))  # No git.
    here = gather_environment(cwd=tmp_path)
    assert (here.cpu_model, here.isa, here.governor, here.git_commit, here.git_dirty) == (None, (), None, None, None)
    assert environment._numa_nodes(tmp_path / "absent") is None
    assert environment._cpu_model("") is None


def test_numa_nodes_and_governors_are_counted(tmp_path: Path) -> None:
    for node in (0, 1, 10):
        (tmp_path / f"node{node}").mkdir()
    (tmp_path / "nodes_online").touch()
    assert environment._numa_nodes(tmp_path) == 3
    for cpu, governor in enumerate(["powersave", "performance", "powersave"]):
        (tmp_path / f"cpu{cpu}" / "cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "cpufreq" / "scaling_governor").write_text(f"{governor}\n")
    assert environment._governor(tmp_path, [0, 2]) == "powersave"
    assert environment._governor(tmp_path, [0, 1, 7]) == "performance,powersave"
    assert environment._governor(tmp_path, [7]) is None


def test_only_the_variables_that_matter_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        "OMP_NUM_THREADS": "2", "KMP_AFFINITY": "compact", "GOMP_SPINCOUNT": "0", "MKL_NUM_THREADS": "1",
        "ONEDNN_VERBOSE": "1", "DNNL_MAX_CPU_ISA": "AVX2", "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "ATEN_CPU_CAPABILITY": "avx2",
    }  # fmt: skip
    for name, value in {**wanted, "MY_OMP_SECRET": "x", "TORCH_HOME": "x", "AWS_SECRET": "x"}.items():
        monkeypatch.setenv(name, value)
    found = gather_environment().omp
    assert wanted.items() <= found.items()
    assert not {"MY_OMP_SECRET", "TORCH_HOME", "AWS_SECRET"} & set(found)


# --- the allocator ----------------------------------------------------------------------------------

PRINT = "from perfsuite.environment import gather_environment; print(gather_environment().allocator)"
#: A malloc of our own that does what glibc's does, under a name of our choice.
FORWARD = """
#include <stddef.h>
extern void *__libc_malloc(size_t); extern void __libc_free(void *);
extern void *__libc_calloc(size_t, size_t); extern void *__libc_realloc(void *, size_t);
void *malloc(size_t n) { return __libc_malloc(n); }
void free(void *p) { __libc_free(p); }
void *calloc(size_t n, size_t m) { return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
"""


def allocator(**variables: str) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD"))}
    done = subprocess.run(
        [sys.executable, "-c", PRINT], cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_c_librarys_allocator_is_named_with_its_settings() -> None:
    libc = os.confstr("CS_GNU_LIBC_VERSION")
    assert allocator() == libc
    assert allocator(MALLOC_TRIM_THRESHOLD_="1000000", GLIBC_TUNABLES="glibc.malloc.arena_max=1") == (
        f"{libc} (GLIBC_TUNABLES=glibc.malloc.arena_max=1, MALLOC_TRIM_THRESHOLD_=1000000)"
    )


@pytest.mark.parametrize("library", ["libtcmalloc_minimal.so.4", "libjemalloc.so.2", "libmimalloc.so.2.1"])
def test_a_preloaded_allocator_is_named(tmp_path: Path, library: str) -> None:
    source = tmp_path / "malloc.c"
    source.write_text(FORWARD)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(tmp_path / library), str(source)], check=True)
    family = library.removeprefix("lib").split("_")[0].split(".")[0]
    assert allocator(LD_PRELOAD=str(tmp_path / library)) == f"{family} ({library})"


def test_a_library_with_malloc_in_its_name_that_is_not_the_allocator_does_not_count(tmp_path: Path) -> None:
    source = tmp_path / "nothing.c"
    source.write_text("int nothing(void) { return 0; }")
    library = tmp_path / "libjemalloc.so.2"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    assert allocator(LD_PRELOAD=str(library)) == os.confstr("CS_GNU_LIBC_VERSION")


# --- git --------------------------------------------------------------------------------------------


def git(cwd: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, "-C", str(cwd), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit_and_dirt(cwd: Path) -> tuple[str | None, bool | None]:
    here = gather_environment(cwd=cwd)
    return here.git_commit, here.git_dirty


def test_the_commit_and_whether_tracked_files_differ(tmp_path: Path) -> None:
    assert commit_and_dirt(tmp_path) == (None, None)
    git(tmp_path, "init", "-q")
    assert commit_and_dirt(tmp_path) == (None, None), "there is no commit yet"
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert commit_and_dirt(tmp_path) == (commit, False)
    (tmp_path / "untracked").touch()
    assert commit_and_dirt(tmp_path) == (commit, False)
    (tmp_path / "file").write_text("two")
    assert commit_and_dirt(tmp_path) == (commit, True)


def test_a_hooks_variables_do_not_lead_to_another_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert commit_and_dirt(outside) == (None, None)


def test_a_git_that_hangs_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(environment, "_GIT_TIMEOUT_S", 0.1)
    assert commit_and_dirt(tmp_path) == (None, None)


# --- torch ------------------------------------------------------------------------------------------


def test_torchs_facts_fill_the_environment() -> None:
    import torch

    here = gather_environment(torch_facts())
    assert here.torch == torch.__version__
    assert here.torch_commit == torch.version.git_version
    assert here.torch_threads == torch.get_num_threads()
    (copy,) = here.onednn
    # Where a test before this one listened to oneDNN, more is known of it.
    assert {"built_into", "commit", "version"} <= set(copy) <= {"built_into", "commit", "version", "isa", "threads"}
    assert here.onednn[0]["commit"] in torch.__config__.show()
    assert from_json(Environment, json.loads(json.dumps(to_json(here)))) == here


@pytest.mark.parametrize(
    ("config", "version"),
    [
        ("  - Intel(R) MKL-DNN v3.12.0 (Git Hash 80afa71)\n", "v3.12.0"),
        ("  - oneDNN v4.0-rc (Git Hash 80afa71)\n", "v4.0-rc"),
    ],
)
def test_onednn_is_read_off_torchs_configuration(config: str, version: str) -> None:
    assert onednn_copies(f"PyTorch built with:\n{config}  - OpenMP 201511\n") == (
        {"version": version, "commit": "80afa71", "built_into": "torch"},
    )
    assert onednn_copies("PyTorch built with:\n  - GCC 13.3\n") == ()


def test_ipex_is_described_without_being_imported(tmp_path: Path) -> None:
    package = tmp_path / "intel_extension_for_pytorch"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "_version.py").write_text('__version__ = "2.8.0+cpu"\n__ipex_gitrev__ = "d87d51c"\n')
    info = tmp_path / "intel_extension_for_pytorch-2.8.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: intel_extension_for_pytorch\nVersion: 2.8.0\n")
    code = "from perfsuite.capture.torch_facts import torch_facts as t; print(t()['ipex'], t()['ipex_commit'])"
    paths = f"{tmp_path}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["2.8.0+cpu", "d87d51c"]
