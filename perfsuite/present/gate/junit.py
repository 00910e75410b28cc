"""A gate's result as JUnit XML, which CI systems show beside the tests."""

from __future__ import annotations

from xml.etree import ElementTree

from perfsuite.analyse.diff import Delta
from perfsuite.gate.model import BenchmarkResult, GateResult
from perfsuite.present.cells import clean
from perfsuite.present.gate import words
from perfsuite.present.phrases import because, delta, delta_share, signed

SUITE = "perfsuite gate"
#: Rows of an attribution that a failure lists.
_ROWS = 10


def render_junit(result: GateResult) -> str:
    """One test case for each benchmark.

    It fails if the benchmark regressed or breaks a rule of the census, is an error if it is missing, incomparable or
    unfinished, and counts as skipped if it is inconclusive.  A gate that had nothing to run is one case that passes:
    readers take a file without any for a mistake.
    """
    suite = ElementTree.Element("testsuite", name=SUITE)
    properties = [("verdict", words.headline(result)), ("base", result.base.spec), ("head", result.head.spec)]
    properties += [("threshold", repr(result.threshold)), *(("setting", one) for one in result.settings)]
    _properties(suite, properties)
    for one in result.benchmarks:
        _benchmark(suite, one)
    for name in result.unfinished:
        _outcome(_case(suite, name, 0.0), "error", "unfinished", words.UNFINISHED)
    if suite.find("testcase") is None:
        case = ElementTree.SubElement(suite, "testcase", classname="perfsuite.gate", name="gate", time="0.000")
        if result.stopped:
            _outcome(case, "error", "unfinished", words.UNFINISHED)
        else:
            said = words.IDENTICAL if result.identical else words.tally(result)
            ElementTree.SubElement(case, "system-out").text = said
    counts = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error",
              "skipped": "testcase/skipped"}  # fmt: skip
    for name, path in counts.items():
        suite.set(name, str(len(suite.findall(path))))
    suite.set("time", f"{result.seconds:.3f}")
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _benchmark(suite: ElementTree.Element, one: BenchmarkResult) -> None:
    case = _case(suite, one.name, one.seconds)
    found = one.judgement
    properties = [("verdict", words.verdict(one)), ("threshold", repr(one.policy.threshold))]
    if found is not None and found.ratio is not None:
        properties.append(("ratio", repr(found.ratio)))
    if found is not None and found.interval is not None:
        properties += [("interval_low", repr(found.interval[0])), ("interval_high", repr(found.interval[1]))]
    if found is not None:
        properties.append(("process_pairs", str(found.process_pairs)))
    _properties(case, properties)
    # Readers expect at most one outcome, so the worst one carries all that is to be said.
    if one.verdict == "regressed" or one.failed_census:
        kinds = [*(["regressed"] * (one.verdict == "regressed")), *(["census"] * one.failed_census)]
        _outcome(case, "failure", " and ".join(kinds), _message(one), _evidence(one))
    elif one.verdict in ("missing", "incomparable"):
        _outcome(case, "error", one.verdict, _message(one))
    elif one.verdict == "inconclusive":
        _outcome(case, "skipped", one.verdict, _message(one))
    said = (*words.lines(one), *words.remarks(one))
    ElementTree.SubElement(case, "system-out").text = "\n".join(map(clean, said))


def _case(suite: ElementTree.Element, name: str, seconds: float) -> ElementTree.Element:
    where, what = _address(name)
    values = {"classname": clean(where), "name": clean(what), "time": f"{seconds:.3f}"}
    return ElementTree.SubElement(suite, "testcase", values)


def _address(name: str) -> tuple[str, str]:
    """Class and name as pytest writes them: ``tests.bench.test_x.TestA`` and ``test_step[a]``."""
    address, bracket, parameters = name.partition("[")
    *places, last = address.split("::")
    if not places:
        return "perfsuite.gate", name
    places[0] = places[0].removesuffix(".py").replace("/", ".")
    return ".".join(places), f"{last}{bracket}{parameters}"


def _properties(parent: ElementTree.Element, properties: list[tuple[str, str]]) -> None:
    group = ElementTree.SubElement(parent, "properties")
    for name, value in properties:
        ElementTree.SubElement(group, "property", name=name, value=clean(value))


def _outcome(case: ElementTree.Element, tag: str, kind: str, message: str, text: str | None = None) -> None:
    element = ElementTree.SubElement(case, tag, type=kind, message=clean(message))
    element.text = text


def _message(one: BenchmarkResult) -> str:
    failures = one.census.failures if one.census is not None else ()
    return "; ".join([*words.lines(one), *(f"census fails, {found.rule}: {found.text}" for found in failures)])


def _evidence(one: BenchmarkResult) -> str:
    """The rows that explain it and the commands, a line each."""
    lines = []
    if one.attribution is not None and one.attribution.rows:
        rows = one.attribution.rows[: min(one.attribution.sure or _ROWS, _ROWS)]
        lines += [f"{words.explained(one.attribution)}:", *map(_row, rows)]
        lines += [f"run alone: {clean(command)}" for command in one.attribution.benchdnn]
    for failure in one.census.failures if one.census is not None else ():
        lines += [f"run alone, {clean(failure.rule)}: {clean(command)}" for command in failure.benchdnn]
    return "\n".join(lines)


def _row(row: Delta) -> str:
    where = f" in {clean(row.module)}" if row.module else ""
    return f"{signed(row.delta_ns)} ({delta_share(row)}) {delta(row)}{where}: {because(row)}"
