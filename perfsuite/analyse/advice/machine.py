"""What the process, the loader and the threads cost the step."""

from __future__ import annotations

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import Subject
from perfsuite.records import Environment
from perfsuite.stats import median

#: A loader that keeps up hands out the next batch at once; above this the step waits for it.
LOADER_SHARE = 0.05
#: Kernel time of a step that reuses its memory is around a per cent.
KERNEL_SHARE = 0.05
#: Faults in a step below which they are not what the kernel is busy with: 4 MiB of fresh pages.
FAULTS = 1000
#: Part of what tensors ask for that must come as fresh pages; less is a heap that still grows a little.
FRESH = 0.25
#: Bytes of an ordinary page on x86-64 and most of Arm; a fault may bring in a larger one.
PAGE_BYTES = 4096
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")


class LoaderBound:
    """A step that waits for its data."""

    name = "loader"
    needs = ("phases", "phase data")

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """The phase data as a part of the step, from steps without the profiler."""
        profile, environment = subject.profile, subject.environment
        samples = next((phase.samples_ns for phase in profile.phases if phase.name == "data"), ())
        walls = profile.walls_ns["phases"]
        if not samples or not all(walls):
            return ()
        waited = median(samples)
        share = median([ns / wall for ns, wall in zip(samples, walls, strict=False)])
        if share < LOADER_SHARE:
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
                Stake(waited, share, "measured: the phase 'data', without the profiler; all of it can be hidden"),
                _workers(environment),
                "with fewer CPUs than work, workers take from the step what they give: compare both",
            ),
        )


def _workers(environment: Environment) -> str:
    threads, cpus = environment.torch_threads, environment.usable_cpus
    count = max(1, min(4, cpus // 4))
    text = f"prepare batches in other processes: DataLoader(…, num_workers={count}, persistent_workers=True)"
    if threads is not None and threads + count > cpus > 1:
        text += f", with torch.set_num_threads({max(1, cpus - count)}) so that they have CPUs of their own"
    return text + "; or decode once and keep the result"


class PageFaults:
    """A step whose time goes into the kernel, mostly into fresh pages for tensors."""

    name = "page-faults"
    needs = ("memory",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Kernel time and page faults of one bare step."""
        memory, environment = subject.profile.memory, subject.environment
        assert memory is not None
        system, user, wall, faults = memory.system_ns, memory.user_ns, memory.wall_ns, memory.page_faults
        if system is None or user is None or not wall or faults is None or not system + user:
            return ()
        share = system / (system + user)
        if share < KERNEL_SHARE or faults < FAULTS:
            return ()
        # Threads work beside each other, so that the kernel's part of their time is its part of the step; and a step
        # that waits (for a CPU, for data) does not get shorter by more than the kernel's own time.
        stake = min(system, wall * share)
        # None of it known, or none recorded: nothing to hold the faults against.
        asked = sum(row.allocated_bytes or 0 for row in subject.profile.operators)
        if asked and faults * PAGE_BYTES < FRESH * asked:
            return ()
        facts = [
            Fact(f"of all threads' CPU time in one bare step the kernel has {share:.0%}", None, system),
            Fact("that step by the clock", None, wall),
            Fact(f"page faults in it, of at least {faults * PAGE_BYTES / 2**20:.0f} MiB together", faults),
        ]
        if asked:
            facts.append(Fact(f"tensors ask for {asked / 2**20:.0f} MiB in a step"))
        facts.append(Fact(f"allocator: {environment.allocator}"))
        facts += [Fact(f"the process was not quiet: {line}") for line in environment.disturbances or ()]
        return (
            Finding(
                self.name,
                "the kernel works on fresh pages for tensors in every step",
                tuple(facts),
                Stake(
                    stake,
                    stake / wall,
                    "estimated upper bound: the kernel's CPU time, or with several threads its part of the step; of "
                    "that bare step",
                ),
                "keep memory in the process: run it as `perfsuite launch -- COMMAND`, or preload tcmalloc or jemalloc, "
                "or set MALLOC_TRIM_THRESHOLD_, MALLOC_TOP_PAD_ and MALLOC_MMAP_THRESHOLD_ high",
                "one step; the kernel may also have been busy with reading files or with other threads",
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
                Stake(None, None, "unknown: record it again with fewer threads, and compare"),
                f"one thread per physical core: OMP_NUM_THREADS={room} (or torch.set_num_threads({room})), pinned: "
                "taskset or numactl; of several workers each its own cores",
                "measured elsewhere, not here: threads that wait for each other's CPU can make a step several times "
                "longer",
            ),
        )
