"""A gate's outcome as lines for a terminal, Markdown for a job's page, and JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree

from leaderboards.gate.check import BackboneCheck, GateReport, TaskChange
from leaderboards.text import for_github, for_xml, shortened
from vtab_harness.cli.plain_text import plain

_SIGNS = {"ok": "✅ ok", "worse": "❌ worse", "cannot tell": "⚠️ cannot tell"}


def headline(report: GateReport) -> str:
    """Returns the outcome in one sentence."""
    counts = {v: sum(b.verdict == v for b in report.backbones) for v in ("worse", "cannot tell", "ok")}
    what = "on any task" if report.per_task else "in the mean over all tasks"
    how = f"by more than {report.margin:g} points {what} ({100 * report.confidence:g} % confidence)"
    total = len(report.backbones)
    backbones = f"{total} backbone{'s' * (total != 1)}"
    if total == 1:
        name = shortened(report.backbones[0].spec, 120)
        if counts["worse"]:
            why = how if _is_shown(report.backbones[0], report) else "by diverging"
            return f"{name} got worse than the baseline {why}."
        if counts["cannot tell"]:
            return f"{name} cannot be held against the baseline."
        return f"{name} is not shown to be worse than the baseline {how}."
    if counts["worse"]:
        rest = f"; {counts['cannot tell']} cannot be told" if counts["cannot tell"] else ""
        # A diverged training is worse as well, whatever the margin.
        return f"{counts['worse']} of {backbones} got worse than the baseline, {how} or by diverging{rest}."
    if not total:
        return "The baseline holds no backbone."
    if counts["cannot tell"]:
        return f"{counts['cannot tell']} of {backbones} cannot be held against the baseline."
    return f"None of {backbones} is shown to be worse than the baseline {how}."


def as_lines(report: GateReport) -> list[str]:
    """Returns what the command prints."""
    lines = []
    for backbone in report.backbones:
        lines.append(f"{backbone.verdict:12} {shortened(backbone.spec)}   {_mean(backbone, report)}".rstrip())
        lines += [f"{'':12} {plain(reason)}" for reason in backbone.reasons]
    lines += [f"{'new':12} {shortened(spec)}   not in the baseline, not checked" for spec in report.others]
    return [*lines, "", headline(report)]


def as_markdown(report: GateReport) -> str:
    """Returns a summary for the page of a CI job; names are escaped."""
    suite = report.suite or "no suite"
    lines = [
        "### vtab gate",
        "",
        for_github(headline(report)),
        "",
        f"Suite {for_github(suite)}, protocol {for_github(report.protocol)}. Accuracies in %, changes in points with "
        f"{100 * report.confidence:g} % intervals, paired on the test examples.",
        "",
        "| | backbone | baseline | now | change | p | weights |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for b in report.backbones:
        weights = {True: "the same", False: "other", None: ""}[b.same_weights]
        cells = ["", "", "", ""]
        if b.whole is not None and b.before is not None and b.now is not None and b.p is not None:
            cells = [f"{100 * b.before:.2f}", f"{100 * b.now:.2f}", _interval(b, report), _p(b.p)[2:]]
        lines.append(
            f"| {_SIGNS[b.verdict]} | {for_github(shortened(b.spec, 120))} | {' | '.join(cells)} | {weights} |"
        )
    reasons = [(b, reason) for b in report.backbones for reason in b.reasons]
    lines += [""] * bool(reasons)
    lines += [f"- **{for_github(shortened(b.spec, 120))}**: {for_github(reason)}" for b, reason in reasons]
    for b in report.backbones:
        if b.tasks:
            lines += ["", f"<details><summary>Tasks of {for_github(shortened(b.spec, 120))}</summary>", ""]
            lines += [f"| task | baseline | now | change | predictions changed | p{' (Holm)' * report.per_task} |"]
            lines += ["|---|---:|---:|---:|---:|---:|"]
            lines += [_row(t, report) for t in b.tasks]
            lines += ["", "</details>"]
    if report.others:
        lines += [
            "",
            f"Not in the baseline, not checked: {', '.join(for_github(shortened(spec)) for spec in report.others)}.",
        ]
    return "\n".join(lines) + "\n"


def _mean(backbone: BackboneCheck, report: GateReport) -> str:
    if backbone.whole is None or backbone.before is None or backbone.now is None:
        return ""
    low, high = backbone.whole.interval(report.confidence)
    return (
        f"{100 * backbone.before:.2f} -> {100 * backbone.now:.2f} % ({100 * backbone.whole.difference:+.2f}, "
        f"{100 * report.confidence:g} % interval {100 * low:+.2f} to {100 * high:+.2f})"
    )


def _change(task: TaskChange) -> str:
    return f"{100 * task.before:.2f} -> {100 * task.now:.2f} % ({100 * task.change.difference:+.2f}), {_p(task.p)}"


def _p(value: float) -> str:
    return "p <0.001" if value < 0.001 else f"p {value:.3f}"


def _shown(task: TaskChange, report: GateReport) -> bool:
    return task.p <= 1 - report.confidence


def _is_shown(backbone: BackboneCheck, report: GateReport) -> bool:
    """Returns whether the predictions show it to be worse; else a diverged training does, whatever the margin."""
    if report.per_task:
        return any(_shown(task, report) for task in backbone.tasks)
    return backbone.p is not None and backbone.p <= 1 - report.confidence


def _interval(item: BackboneCheck | TaskChange, report: GateReport) -> str:
    estimate = item.change if isinstance(item, TaskChange) else item.whole
    if estimate is None:
        return ""
    low, high = estimate.interval(report.confidence)
    return f"{100 * estimate.difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _row(t: TaskChange, report: GateReport) -> str:
    cells = (f"{100 * t.before:.2f}", f"{100 * t.now:.2f}", _interval(t, report), f"{100 * t.changed:.1f} %")
    return f"| {for_github(t.title)} | {' | '.join(cells)} | {_p(t.p)[2:]} |"


def as_junit(report: GateReport) -> bytes:
    """Returns JUnit XML: a test case for each backbone, or for each backbone and task with `per_task`.

    Worse is a failure, what cannot be told an error.
    """
    suite = ElementTree.Element("testsuite", name="vtab gate")
    classname = f"vtab.gate.{report.protocol}"
    for backbone in report.backbones:
        _case(suite, classname, backbone.spec, backbone.verdict, " ".join(backbone.reasons), _mean(backbone, report))
        for task in backbone.tasks if report.per_task else ():
            verdict = "worse" if _shown(task, report) else "ok"
            reason = f"{task.name} is worse by more than {report.margin:g} points." if verdict == "worse" else ""
            _case(suite, f"{classname}.{backbone.spec}", task.name, verdict, reason, _change(task))
    counts = {tag: str(len(suite.findall(f"testcase/{tag}"))) for tag in ("failure", "error")}
    totals = {"tests": str(len(suite)), "failures": counts["failure"], "errors": counts["error"], "skipped": "0"}
    for name, value in (totals | {"time": "0"}).items():
        suite.set(name, value)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: ElementTree.Element, classname: str, name: str, verdict: str, reason: str, facts: str) -> None:
    # Line breaks would survive in an attribute as references, which few readers expect in a name.
    names = {"classname": for_xml(plain(classname)), "name": for_xml(plain(name)), "time": "0"}
    case = ElementTree.SubElement(suite, "testcase", names)
    tag = {"worse": "failure", "cannot tell": "error"}.get(verdict)
    if tag is not None:
        found = ElementTree.SubElement(case, tag, message=for_xml(plain(reason or verdict)), type=verdict)
        found.text = for_xml("\n".join(filter(None, (reason, facts))))
    elif facts:
        ElementTree.SubElement(case, "system-out").text = for_xml(facts)
