"""A whole gate: the sides opened, probed and compared, and whatever was made for it removed again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from perfsuite.environment import find_allocator, libc, usable_cpus
from perfsuite.errors import UsageError
from perfsuite.gate.calibration_store import budget_of
from perfsuite.gate.installed import changed
from perfsuite.gate.model import GateResult, Policy, Side
from perfsuite.gate.pair import SIDES, Listed
from perfsuite.gate.probe import Probe, differing_software, probe
from perfsuite.gate.run import Outcome, Request, run
from perfsuite.gate.settings import GateSettings, find_settings, policy_for, read_settings
from perfsuite.gate.spec import Spec, parse_spec
from perfsuite.gate.trees import Tree, Trees, differing, mapped
from perfsuite.gate.worker import Runnable
from perfsuite.quiet import Settings, as_list, quiet_settings

#: Options that keep a plugin from changing how tests run, where its distribution is installed: a worker runs each
#: benchmark once, in its own process, in the gate's order, for as long as the gate wants.
_PLUGINS = {
    "pytest-xdist": ("-n0",),
    "pytest-timeout": ("--timeout=0",),
    "pytest-cov": ("--no-cov",),
    "pytest-randomly": ("-p", "no:randomly"),
    "pytest-rerunfailures": ("--reruns=0",),
}
#: What a worker loads where pytest is told not to load plugins by itself.
_PLUGINS_NEEDED = ("-p", "perfsuite.pytest_plugin", "-p", "pytest_benchmark.plugin")
#: What a pytest around the gate tells its own children.
_OF_PYTEST = ("PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")
#: A file that was not looked at is not listed one by one.
_NAMED = 3


@dataclass(frozen=True)
class Options:
    """What the command line says; None where it says nothing, and ``pyproject.toml`` or the default counts."""

    node_ids: Sequence[str] = ()
    threshold: float | None = None
    seconds: float | None = None
    max_pairs: int | None = None
    inconclusive: str | None = None
    census_only: bool = False
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
    progress: Callable[[str], object] = lambda text: None,
    directory: Path | None = None,
) -> tuple[GateResult, int]:
    """Compare two sides and say what came of it, and with which exit code.

    Args:
        base: a SPEC (:mod:`perfsuite.gate.spec`).
        head: another, or the same.
        cwd: the folder that the user is in: node ids are relative to it, and to its counterpart on another side.
        options: what goes before ``pyproject.toml``.
        progress: called with a line that says what runs.
        directory: the folder of the runs, in which a calibration of this machine may lie.

    Raises:
        UsageError: a side cannot be opened or started, a setting is wrong, or there is nothing to compare.
    """
    began = time.monotonic()
    specs = {"base": parse_spec(base), "head": parse_spec(head)}
    try:
        return _compared(specs, cwd, options, progress, directory, began)
    except KeyboardInterrupt:  # before the loop, which keeps what it has
        before, after = (Side(specs[side].text, variables=specs[side].variables) for side in SIDES)
        threshold = options.threshold or GateSettings().threshold
        result = GateResult(before, after, threshold, interrupted=True, seconds=time.monotonic() - began)
        return result, result.exit_code()


def _compared(
    specs: Mapping[str, Spec],
    cwd: Path,
    options: Options,
    progress: Callable[[str], object],
    directory: Path | None,
    began: float,
) -> tuple[GateResult, int]:
    with Trees(cwd) as trees:
        found = find_settings(cwd, trees.root)
        said = read_settings(found.parent) if found is not None else GateSettings()
        settings_file = os.path.relpath(found, trees.root) if found is not None else None
        # A budget that somebody set is meant; others give long steps their fewest pairs all the same.
        meant = options.seconds is not None or said.budget != GateSettings().budget
        settings = _settings(said, options, None if meant else directory)
        progress("opening both sides")
        opened = {side: trees.open(specs[side]) for side in SIDES}
        folder = found.parent if found is not None else cwd
        wanted = _wanted(options.node_ids, settings.benchmarks, folder, trees.root, cwd)
        _check(wanted, opened)
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_PYTEST}
        variables = {side: {**inherited, **specs[side].variables} for side in SIDES}
        probes = {side: probe(specs[side].python, opened[side], specs[side].variables) for side in SIDES}
        notes = [f"{side}: {note}" for side in SIDES for note in (*opened[side].notes, *probes[side].notes)]
        sides = {side: _side(specs[side], opened[side], probes[side]) for side in SIDES}
        same = _same(opened, probes, variables, settings.ignore)
        if options.shortcut and same is None:
            result = GateResult(sides["base"], sides["head"], settings.threshold, identical=True, notes=tuple(notes))
            return replace(result, seconds=time.monotonic() - began, settings_file=settings_file), 0
        if options.shortcut:
            notes.append(f"base and head are not identical: {same}")
        quiet = {side: _quiet(variables[side], settings, options) for side in SIDES}
        request = Request(
            {side: _runnable(side, opened[side], probes[side], variables[side], quiet[side]) for side in SIDES},
            {side: str(opened[side].path) for side in SIDES},
            {side: [_placed(opened[side], path, colons + test) for path, colons, test in wanted] for side in SIDES},
            lambda listed: _policy(settings, listed, meant),
            settings.census,
            settings.timeout,
            sorted({cpu for side in SIDES for cpu in quiet[side].cpus}),
            options.census_only,
            options.seed,
            changed(differing(opened["base"], opened["head"]), opened["base"].hashes, opened["head"].hashes),
        )
        outcome = run(request, progress)
    result = GateResult(
        _described(sides["base"], outcome, "base", opened["base"]),
        _described(sides["head"], outcome, "head", opened["head"]),
        settings.threshold,
        outcome.benchmarks,
        unfinished=outcome.unfinished,
        interrupted=outcome.interrupted,
        seconds=time.monotonic() - began,
        notes=tuple(notes),
        settings=_told(quiet),
        settings_file=settings_file,
    )
    return result, result.exit_code(0 if settings.inconclusive == "pass" else 3)


def _settings(found: GateSettings, options: Options, directory: Path | None) -> GateSettings:
    calibrated = budget_of(directory, options.threshold or found.threshold) if directory is not None else None
    said = {
        "threshold": options.threshold,
        "budget": options.seconds or calibrated,
        "max_pairs": options.max_pairs,
        "inconclusive": options.inconclusive,
        "allocator": options.allocator,
        "threads": options.threads,
        "timeout": options.timeout,
    }
    return replace(found, **{name: value for name, value in said.items() if value is not None})  # type: ignore[arg-type]


def _policy(settings: GateSettings, listed: Listed, meant: bool) -> Policy:
    policy = policy_for(settings, listed.name, listed.group, listed.threshold)
    return replace(policy, least_pairs=0) if meant else policy


def _same(
    trees: Mapping[str, Tree],
    probes: Mapping[str, Probe],
    variables: Mapping[str, Mapping[str, str]],
    ignore: Sequence[str],
) -> str | None:
    """What differs first between the sides, None if nothing that could change a time does."""
    files = differing(trees["base"], trees["head"], ignore)
    if files:
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        return f"files differ: {', '.join(files[:_NAMED])}{more}"
    software = differing_software(probes["base"], probes["head"])
    if software:
        return f"software differs: {', '.join(software[:_NAMED])}"
    return None if variables["base"] == variables["head"] else "the environment differs"


def _wanted(
    named: Sequence[str], configured: Sequence[str], folder: Path, root: Path, cwd: Path
) -> Sequence[tuple[str, str, str]]:
    """What to run: a path relative to ``root``, ``::`` or nothing, and a name.

    Paths of the command line are relative to ``cwd``, those of the file to its ``folder``.
    """
    found = []
    for one in named or configured:
        path, colons, test = one.partition("::")
        full = os.path.normpath((cwd if named else folder).resolve() / path)
        if not Path(full).is_relative_to(root):  # the user may have come by a link
            full = os.path.realpath(full)
        found.append((os.path.relpath(full, root), colons, test))
    return found


def _placed(tree: Tree, path: str, test: str = "") -> str:
    """Where it is on a side."""
    return os.path.normpath(tree.path / path) + test


def _quiet(variables: Mapping[str, str], settings: GateSettings, options: Options) -> Settings:
    return quiet_settings(
        variables,
        usable_cpus(),
        allocator=settings.allocator,
        threads=settings.threads,
        chosen=options.cpus,
        glibc=libc().startswith("glibc"),
        find_library=find_allocator,
    )


def _runnable(side: str, tree: Tree, found: Probe, variables: Mapping[str, str], quiet: Settings) -> Runnable:
    paths = [str(path) for path in mapped(tree, found.import_paths) if path.is_dir()]
    before = [one for one in variables.get("PYTHONPATH", "").split(os.pathsep) if one]
    own = {"PYTHONPATH": os.pathsep.join(dict.fromkeys((*paths, *before)))} if paths else {}
    options = [option for name, several in _PLUGINS.items() if name in found.packages for option in several]
    if variables.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        options = list(_PLUGINS_NEEDED)  # others are not there, nor their options
    return Runnable(side, found.python, tree.cwd, {**variables, **quiet.variables, **own}, options, quiet.cpus)


def _side(spec: Spec, tree: Tree, found: Probe) -> Side:
    return Side(
        spec.text,
        tree.commit,
        tree.dirty,
        found.python,
        found.python_version,
        found.packages,
        spec.variables,
    )


def _described(side: Side, outcome: Outcome, name: str, tree: Tree) -> Side:
    """With what its workers told of themselves."""
    root = os.path.realpath(tree.path)
    modules = {os.path.relpath(path, root): digest for path, digest in sorted(outcome.loaded[name].items())}
    return replace(side, environment=outcome.environments.get(name), modules=modules)


def _told(quiet: Mapping[str, Settings]) -> tuple[str, ...]:
    """What the workers were started with; where the sides differ, with the side."""
    found: list[str] = []
    for side in SIDES:
        for name, value in quiet[side].variables.items():
            both = quiet["base"].variables.get(name) == quiet["head"].variables.get(name) == value
            found.append(f"{name}={value}" if both else f"{side}: {name}={value}")
        found += [f"kept {one}" for one in quiet[side].kept]
    cpus = {side: f"CPUs {as_list(quiet[side].cpus)}" for side in SIDES}
    found += [cpus[side] if cpus["base"] == cpus["head"] else f"{side}: {cpus[side]}" for side in SIDES]
    return tuple(dict.fromkeys(found))


def _check(wanted: Sequence[tuple[str, str, str]], trees: Mapping[str, Tree]) -> None:
    """At least one side must have each file that is named.

    Raises:
        UsageError: neither has it, or it is not in the repository, of which alone a side has files of its own.
    """
    for path, colons, test in wanted:
        outside = path == os.pardir or path.startswith(os.path.join(os.pardir, ""))
        if outside and trees["base"].path != trees["head"].path:
            root = trees["head"].origin
            raise UsageError(
                f"{root / path}{colons}{test}: not in the repository {root}, which is what the sides are of"
            )
        if not any(os.path.exists(_placed(trees[side], path)) for side in SIDES):
            raise UsageError(f"{path}{colons}{test}: neither side has a file or folder {path}")
