"""What the process, the loader and the threads cost the step."""

from __future__ import annotations

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import Subject
from perfsuite.analyse.kernel import kernel_ns, kernel_share
from perfsuite.analyse.tables import by_phase
from perfsuite.records import Environment

#: A loader that keeps up hands out the next batch at once; above this the step waits for it.
LOADER_SHARE = 0.05
#: Of the step (:func:`perfsuite.analyse.kernel.kernel_share`); where it reuses its memory it is around a per cent.
KERNEL_SHARE = 0.05
#: Faults in a step below which they are not what the kernel is busy with: 4 MiB of fresh pages.
FAULTS = 1000
#: Part of what tensors ask for that must come as fresh pages; less is a heap that still grows a little.
FRESH = 0.25
#: Bytes of an ordinary page on x86-64 and most of Arm; a fault may bring in a larger one.
PAGE_BYTES = 4096
#: Why nothing else is to be read before.
_INFLATES = (
    "page faults happen inside the operators that allocate and make each of them look slower than it is: what the "
    "other findings have at stake may be inflated by them; record again under `perfsuite launch` before you judge those"
)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")


class LoaderBound:
    """A step that waits for its data."""

    name = "loader"
    needs = ("phases", "phase data")

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """The phase data as a part of the step, from steps without the profiler."""
        profile, environment = subject.profile, subject.environment
        data = next((row for row in by_phase(profile) if row.name == "data"), None)
        # Medians, as in the table of phases: bare steps have no rows that must add up.
        waited, share = (None, None) if data is None else (data.wall_ns, data.wall_share)
        if waited is None or share is None or share < LOADER_SHARE:
            return ()
        inside = subject.cost(subject.in_phase("data"))
        facts = [Fact("fetching a batch, the median of bare steps", None, waited, share)]
        if profile.ledger is not None:
            facts.append(Fact("operators of this process in it", None, inside.ns, inside.share))
        return (
            Finding(
                self.name,
                "the step waits for its data",
                tuple(facts),
                Stake(
                    waited,
                    share,
                    "measured",
                    "the phase 'data', median of steps without the profiler; all of it can be hidden",
                    "the steps of the phases pass",
                ),
                _workers(environment),
                "with fewer CPUs than work, workers take from the step what they give: compare both",
            ),
        )


def _workers(environment: Environment) -> str:
    threads, cpus = environment.torch_threads, environment.usable_cpus
    count = max(1, min(4, cpus // 4))
    text = f"prepare batches in other processes: `DataLoader(…, num_workers={count}, persistent_workers=True)`"
    if threads is not None and threads + count > cpus > 1:
        text += f", with `torch.set_num_threads({max(1, cpus - count)})` so that they have CPUs of their own"
    return text + "; or decode once and keep the result"


class PageFaults:
    """A step whose time goes into the kernel, mostly into fresh pages for tensors."""

    name = "page-faults"
    needs = ("memory",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Kernel time and page faults of one bare step."""
        memory, environment = subject.profile.memory, subject.environment
        assert memory is not None
        faults, share = memory.page_faults, kernel_share(memory)
        if share is None or faults is None or share < KERNEL_SHARE or faults < FAULTS:
            return ()
        # None of it known, or none recorded: nothing to hold the faults against.
        asked = sum(row.allocated_bytes or 0 for row in subject.profile.operators)
        if asked and faults * PAGE_BYTES < FRESH * asked:
            return ()
        facts = [
            Fact("that bare step by the clock", None, memory.wall_ns),
            Fact("CPU time of all threads in the kernel in it", None, memory.system_ns),
            Fact("CPU time of all threads outside of the kernel in it", None, memory.user_ns),
            Fact(f"page faults in it, of at least {faults * PAGE_BYTES / 2**20:.0f} MiB together", faults),
        ]
        if asked:
            facts.append(Fact(f"tensors ask for {asked / 2**20:.0f} MiB in a step"))
        facts.append(Fact(f"allocator: {environment.allocator}"))
        facts += [Fact(f"the process was not quiet: {line}") for line in environment.disturbances or ()]
        return (
            Finding(
                self.name,
                "mend this before you read on: the kernel brings in fresh pages for tensors in every step",
                tuple(facts),
                Stake(
                    kernel_ns(memory),
                    share,
                    "estimate",
                    "the kernel's CPU time, or with several threads its part of the step; mending it can save more, "
                    "as fresh pages are also not in the caches",
                    "a bare step",
                ),
                "keep memory in the process: run it as `perfsuite launch -- COMMAND`, or preload tcmalloc or jemalloc, "
                "or set `MALLOC_TRIM_THRESHOLD_`, `MALLOC_TOP_PAD_` and `MALLOC_MMAP_THRESHOLD_` high; then record the "
                "run again",
                "one step; the kernel may also have been busy with reading files or with other threads",
                first=_INFLATES,
            ),
        )


class Threads:
    """More threads than there are CPUs for them."""

    name = "threads"
    needs = ()

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """torch's threads against usable CPUs and physical cores; workers of the session beside each other."""
        environment = subject.environment
        threads, usable, cores = environment.torch_threads, environment.usable_cpus, environment.physical_cores
        if threads is None:
            return NotChecked(self.name, "needs torch's number of threads, which the run does not hold")
        facts = []
        room = usable if cores is None else min(usable, cores)
        if threads > usable:
            facts.append(Fact(f"torch runs {threads} threads on {usable} usable CPUs"))
        elif threads > room:
            facts.append(Fact(f"torch runs {threads} threads on {room} physical cores"))
        if subject.profile.contended and threads > 1:
            facts.append(Fact(f"other workers of the session ran beside it, with {threads} threads each"))
        if not facts:
            return ()
        found = {name: environment.omp[name] for name in _THREAD_VARIABLES if name in environment.omp}
        facts += [Fact(f"{name}={value}") for name, value in found.items()]
        return (
            Finding(
                self.name,
                "more threads than CPUs",
                tuple(facts),
                Stake(None, None, "unknown", "record it again with fewer threads, and compare"),
                f"one thread per physical core: `OMP_NUM_THREADS={room}` (or `torch.set_num_threads({room})`), pinned: "
                "taskset or numactl; of several workers each its own cores",
                "measured elsewhere, not here: threads that wait for each other's CPU can make a step several times "
                "longer",
            ),
        )
