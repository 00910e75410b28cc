"""A whole gate: the sides opened, probed and compared, and whatever was made for it removed again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from perfsuite.environment import find_allocator, libc, usable_cpus
from perfsuite.errors import UsageError
from perfsuite.gate.arguments import Wanted, check_there, find_wanted, placed
from perfsuite.gate.calibration_store import NAME, budget_of
from perfsuite.gate.child import interruptible, interrupts_held
from perfsuite.gate.extensions import own_folders
from perfsuite.gate.installed import changed
from perfsuite.gate.messages import Listed
from perfsuite.gate.model import SIDES, GateResult, Policy, Side
from perfsuite.gate.probe import Probe, probe
from perfsuite.gate.progress import Progress, Silence
from perfsuite.gate.request import Outcome, Request
from perfsuite.gate.rules import CensusRules
from perfsuite.gate.run import run
from perfsuite.gate.runnables import inherited, runnable, told
from perfsuite.gate.sameness import difference
from perfsuite.gate.settings import GateSettings, policy_for, settings_for
from perfsuite.gate.spec import Spec, parse_spec
from perfsuite.gate.trees import Tree, Trees, differing, mapped
from perfsuite.gate.worker import Runnable
from perfsuite.quiet import Settings, preloaded_allocator, quiet_settings

_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Options:
    """What the command line says; None where it says nothing, and ``pyproject.toml`` or the default counts."""

    node_ids: Sequence[str] = ()
    threshold: float | None = None
    seconds: float | None = None
    max_pairs: int | None = None
    inconclusive: str | None = None
    census_only: bool = False
    #: Whether no census is taken, whatever the settings say.
    no_census: bool = False
    #: Whether identical sides are not run at all.
    shortcut: bool = True
    allocator: str | None = None
    threads: int | None = None
    cpus: Sequence[int] | None = None
    timeout: float | None = None
    seed: int | None = None


def compare_sides(
    base: str,
    head: str,
    cwd: Path,
    options: Options,
    progress: Progress | None = None,
    directory: Path | None = None,
) -> tuple[GateResult, int]:
    """Compare two sides and say what came of it, and with which exit code.

    An interrupt ends it early, and what is known then is the result.  One that comes when everything is decided, while
    results are put together and worktrees are removed, changes nothing about it; within
    :func:`perfsuite.gate.child.interrupts_held` it acts at the end of that.

    Args:
        base: a SPEC (:mod:`perfsuite.gate.spec`).
        head: another, or the same.
        cwd: the folder that the user is in: node ids are relative to it, and to its counterpart on another side.
        options: what goes before ``pyproject.toml``.
        progress: is told what runs, and which benchmarks have begun and been decided.
        directory: the folder of the runs, in which a calibration of this machine may lie.

    Raises:
        UsageError: a side cannot be opened or started, a setting is wrong, or there is nothing to compare.
    """
    gate = _Gate({"base": parse_spec(base), "head": parse_spec(head)}, cwd, options, progress or Silence(), directory)
    found = None
    try:
        with interrupts_held():
            found = gate.result()
    except KeyboardInterrupt:
        if found is None:
            raise
    assert found is not None
    return found


class _Gate:
    """What is known of a gate so far."""

    def __init__(
        self,
        specs: Mapping[str, Spec],
        cwd: Path,
        options: Options,
        progress: Progress,
        directory: Path | None,
    ) -> None:
        self._began = time.monotonic()
        self._specs = specs
        self._cwd = cwd
        self._options = options
        self._progress = progress
        self._directory = directory
        self._settings = _settings(GateSettings(), options)
        self._settings_file: str | None = None
        #: Whether somebody set the budget: others give long steps their fewest pairs all the same.
        self._meant = False
        #: The calibration that it is from.
        self._calibrated: Path | None = None
        self._sides = {side: Side(specs[side].text, variables=specs[side].variables) for side in SIDES}
        self._trees: dict[str, Tree] = {}
        self._notes: list[str] = []
        #: What the workers are started with.
        self._told: tuple[str, ...] = ()
        self._identical = False
        self._outcome = Outcome()

    def result(self) -> tuple[GateResult, int]:
        """Compare; an interrupt ends that, not this."""
        with ExitStack() as stack:
            request = None
            try:
                with interruptible():
                    request = self._prepared(stack.enter_context(Trees(self._cwd)))
            except KeyboardInterrupt:
                self._outcome.interrupted = True
            if request is not None:
                self._outcome = run(request, self._progress)
                self._sides = {side: self._described(side) for side in SIDES}
        outcome = self._outcome
        found = GateResult(
            self._sides["base"],
            self._sides["head"],
            self._settings.threshold,
            outcome.benchmarks,
            identical=self._identical,
            unfinished=outcome.unfinished,
            interrupted=outcome.interrupted,
            seconds=time.monotonic() - self._began,
            notes=(*self._notes, *outcome.notes),
            settings=self._told,
            settings_file=self._settings_file,
        )
        return found, found.exit_code(0 if self._settings.inconclusive == "pass" else 3)

    def _prepared(self, trees: Trees) -> Request | None:
        """Everything that a comparison needs; None where the sides are identical."""
        folder = self._read_settings(trees.root)
        options, settings = self._options, self._settings
        self._progress("opening both sides")
        for side in SIDES:
            self._trees[side] = trees.open(self._specs[side])
        wanted = find_wanted(options.node_ids, settings.benchmarks, folder, trees.root, self._cwd)
        check_there(wanted, self._trees)
        variables = {side: {**inherited(os.environ), **self._specs[side].variables} for side in SIDES}
        probes = {side: self._probed(side) for side in SIDES}
        differs = difference(self._trees, probes, variables, settings.ignore)
        if options.shortcut and differs is None:
            self._identical = True
            return None
        if options.shortcut:
            self._notes.append(f"base and head are not identical: {differs}")
        if self._calibrated:
            self._notes.append(f"budget {settings.budget:.0f} s a benchmark, from {self._calibrated}")
        if settings.census is None:
            by = "--no-census" if options.no_census else self._settings_file
            self._notes.append(f"no census is taken ({by}): verdicts are by time alone, and no change is explained")
        return self._request(wanted, probes, variables, trees.scratch("extensions"))

    def _request(
        self,
        wanted: Sequence[Wanted],
        probes: Mapping[str, Probe],
        variables: Mapping[str, Mapping[str, str]],
        folder: Path,
    ) -> Request:
        options, settings, trees = self._options, self._settings, self._trees
        own = own_folders(folder, {side: self._specs[side].variables for side in SIDES})
        variables = {side: {**variables[side], **own[side]} for side in SIDES}
        quiet = {side: _quiet(self._specs[side], variables[side], settings, options) for side in SIDES}
        self._told = told(quiet, own)
        base, head = (trees[side] for side in SIDES)
        return Request(
            runnables={
                side: _runnable(side, trees[side], probes[side], variables[side], quiet[side]) for side in SIDES
            },
            roots={side: str(trees[side].path) for side in SIDES},
            wanted={
                side: [placed(trees[side], path, colons + test) for path, colons, test in wanted] for side in SIDES
            },
            policy_of=self._policy,
            rules=settings.census,
            timeout=settings.timeout,
            cpus=sorted({cpu for side in SIDES for cpu in quiet[side].cpus}),
            census_only=options.census_only,
            seed=options.seed,
            changed=changed(differing(base, head), base.hashes, head.hashes),
            extensions=[path for side in SIDES for path in own[side].values()],
        )

    def _read_settings(self, root: Path) -> Path:
        """The settings that count; returns the folder that the benchmarks they name are relative to."""
        said, found = settings_for(self._cwd, root)
        self._settings = _settings(said, self._options)
        self._settings_file = os.path.relpath(found, root) if found is not None else None
        self._meant = self._settings.budget is not None
        if not self._meant and self._directory is not None and not self._options.census_only:
            calibrated = budget_of(self._directory, self._settings.threshold, self._settings.confidence)
            if calibrated is not None:
                self._settings = replace(self._settings, budget=calibrated)
                self._calibrated = self._directory / NAME
        return found.parent if found is not None else self._cwd

    def _probed(self, side: str) -> Probe:
        spec, tree = self._specs[side], self._trees[side]
        found = probe(spec.python, tree, spec.variables)
        self._notes += [f"{side}: {note}" for note in (*tree.notes, *found.notes)]
        self._sides[side] = Side(
            spec.text, tree.commit, tree.dirty, found.python, found.python_version, found.packages, spec.variables
        )
        return found

    def _policy(self, listed: Listed) -> Policy:
        policy = policy_for(self._settings, listed.name, listed.group, listed.threshold)
        return replace(policy, least_pairs=0) if self._meant else policy

    def _described(self, side: str) -> Side:
        """With what its workers told of themselves."""
        root = os.path.realpath(self._trees[side].path)
        loaded = sorted(self._outcome.loaded[side].items())
        modules = {os.path.relpath(path, root): digest for path, digest in loaded}
        return replace(self._sides[side], environment=self._outcome.environments.get(side), modules=modules)


def _settings(found: GateSettings, options: Options) -> GateSettings:
    said = {
        "threshold": options.threshold,
        "budget": options.seconds,
        "max_pairs": options.max_pairs,
        "inconclusive": options.inconclusive,
        "allocator": options.allocator,
        "threads": options.threads,
        "timeout": options.timeout,
    }
    census = None if options.no_census else found.census
    if options.census_only:
        census = census or CensusRules()  # it is asked for in so many words
    given = {name: value for name, value in said.items() if value is not None}
    return replace(found, census=census, **given)  # type: ignore[arg-type]


def _quiet(spec: Spec, variables: Mapping[str, str], settings: GateSettings, options: Options) -> Settings:
    """The quiet settings of a side; what its SPEC sets goes before ``pyproject.toml``.

    Raises:
        UsageError: the command line contradicts the SPEC.
    """
    threads, allocator = settings.threads, settings.allocator
    if _THREADS in spec.variables:
        if options.threads is not None:
            raise UsageError(
                f"--threads {options.threads}, but SPEC {spec.text!r} sets {_THREADS}: leave one of them out"
            )
        threads = None
    if options.allocator is None and preloaded_allocator(spec.variables) is not None:
        allocator = "auto"
    return quiet_settings(
        variables,
        usable_cpus(),
        allocator=allocator,
        threads=threads,
        chosen=options.cpus,
        glibc=libc().startswith("glibc"),
        find_library=find_allocator,
    )


def _runnable(side: str, tree: Tree, found: Probe, variables: Mapping[str, str], quiet: Settings) -> Runnable:
    paths = [str(path) for path in mapped(tree, found.import_paths) if path.is_dir()]
    return runnable(side, found.python, tree.cwd, variables, quiet, found.packages, paths)
