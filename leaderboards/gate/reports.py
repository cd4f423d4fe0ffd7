"""A gate's outcome as lines for a terminal, Markdown for a job's page, and JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree

from leaderboards.gate.outcome import BackboneCheck, GateReport, RuleCheck, TaskChange
from leaderboards.text import for_github, for_xml, shortened
from vtab_harness.cli.plain_text import plain

_SIGNS = {
    "ok": "✅ ok",
    "warning": "⚠️ warning",
    "inconclusive": "❔ inconclusive",
    "worse": "❌ worse",
    "cannot tell": "⚠️ cannot tell",
}


def headline(report: GateReport) -> str:
    """Returns the outcome in one sentence, which names the largest fall that is shown, whatever the verdict."""
    counts = {v: sum(b.verdict == v for b in report.backbones) for v in _SIGNS}
    what = _scope(report)
    how = f"by more than {what} ({100 * report.confidence:g} % confidence)"
    total = len(report.backbones)
    backbones = f"{total} backbone{'s' * (total != 1)}"
    if total == 1:
        backbone = report.backbones[0]
        name = shortened(backbone.called, 120)
        if counts["worse"]:
            why = how if any(test.tier == "fail" for test in backbone.broken) else "by diverging"
            return f"{name} got worse than the baseline {why}{_but(report, ': ')}."
        if counts["cannot tell"]:
            return f"{name} cannot be held against the baseline{_but(report)}."
        if counts["inconclusive"]:
            return f"Inconclusive: that {name} got worse than the baseline {how} is neither shown nor excluded."
        rest = _but(report) or ": a larger loss is excluded" * bool(counts["ok"])
        return f"{name} is not shown to be worse than the baseline {how}{rest}."
    rest = "".join(f"; {counts[v]} {words}" for v, words in _OTHERS.items() if counts[v])
    if counts["worse"]:
        # A diverged training is worse as well, whatever the margin.
        worse = f"{counts['worse']} of {backbones} got worse than the baseline, {how} or by diverging"
        return f"{worse}{_but(report, ': ')}{rest}."
    if not total:
        return "The baseline holds no backbone."
    if counts["cannot tell"]:
        rest = rest.replace(f"; {counts['cannot tell']} {_OTHERS['cannot tell']}", "")
        return f"{counts['cannot tell']} of {backbones} cannot be held against the baseline{_but(report)}{rest}."
    return f"None of {backbones} is shown to be worse than the baseline {how}{_but(report)}{rest}."


_OTHERS = {"inconclusive": "inconclusive", "warning": "with a warning", "cannot tell": "cannot be told"}


def _scope(report: GateReport) -> str:
    """Returns what fails, in words: the margin of each kind of rule."""
    policy = report.policy
    said = []
    if policy.suite is not None and policy.suite.tier == "fail":
        said.append(f"{policy.suite.margin:g} points in the mean over all tasks")
    for rules, where in ((policy.groups, "in the mean of any group"), (policy.tasks, "on any task")):
        margins = sorted({rule.margin for rule in rules.values() if rule.tier == "fail"})
        if margins:
            said.append(f"{' to '.join(f'{m:g}' for m in dict.fromkeys((margins[0], margins[-1])))} points {where}")
    return " or ".join(said) or "its margins"


def _but(report: GateReport, link: str = ", but ") -> str:
    """Returns the largest single fall that is shown, as the end of a sentence; empty where there is none."""
    found = [(test, b) for b in report.backbones for test in b.broken if test.kind != "suite"]
    if not found:
        return ""
    test, backbone = min(found, key=lambda pair: pair[0].change.difference)
    whose = f" of {shortened(backbone.called, 60)}" if len(report.backbones) > 1 else ""
    return f"{link}{test.in_words()}{whose} fell by {-100 * test.change.difference:.2f} points ({_p(test.p_holm)})"


def as_lines(report: GateReport) -> list[str]:
    """Returns what the command prints."""
    lines = []
    for backbone in report.backbones:
        lines.append(f"{backbone.verdict:12} {shortened(backbone.called)}   {_mean(backbone, report)}".rstrip())
        lines += [f"{'':12} {plain(reason)}" for reason in backbone.reasons]
    lines += [f"{'new':12} {shortened(spec)}   not in the baseline, not checked" for spec in report.others]
    lines += [f"{'note':12} {plain(note)}" for note in report.notes]
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
        if b.whole is not None and b.before is not None and b.now is not None:
            p = "" if b.p is None else _p(b.p)[2:]
            cells = [f"{100 * b.before:.2f}", f"{100 * b.now:.2f}", _interval(b, report), p]
        lines.append(
            f"| {_SIGNS[b.verdict]} | {for_github(shortened(b.called, 120))} | {' | '.join(cells)} | {weights} |"
        )
    lines += [line for note in report.notes for line in ("", for_github(note))]
    reasons = [(b, reason) for b in report.backbones for reason in b.reasons]
    lines += [""] * bool(reasons)
    lines += [f"- **{for_github(shortened(b.called, 120))}**: {for_github(reason)}" for b, reason in reasons]
    for b in report.backbones:
        if b.tasks:
            lines += ["", f"<details><summary>Tasks of {for_github(shortened(b.called, 120))}</summary>", ""]
            lines += ["| task | baseline | now | change | predictions changed | p (Holm) |"]
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


def _change(test: RuleCheck) -> str:
    fall = f"{100 * test.change.difference:+.2f}"
    return f"{100 * test.before:.2f} -> {100 * test.now:.2f} % ({fall}), {_p(test.p_holm)}"


def _p(value: float) -> str:
    return "p <0.001" if value < 0.001 else f"p {value:.3f}"


def _interval(item: BackboneCheck | TaskChange, report: GateReport) -> str:
    estimate = item.change if isinstance(item, TaskChange) else item.whole
    if estimate is None:
        return ""
    low, high = estimate.interval(report.confidence)
    return f"{100 * estimate.difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _row(t: TaskChange, report: GateReport) -> str:
    cells = (f"{100 * t.before:.2f}", f"{100 * t.now:.2f}", _interval(t, report), f"{100 * t.changed:.1f} %")
    return f"| {for_github(t.title)} | {' | '.join(cells)} | {'' if t.p != t.p else _p(t.p)[2:]} |"


def as_junit(report: GateReport) -> bytes:
    """Returns JUnit XML: a test case for each backbone, and for each of its groups and tasks that can fail.

    Worse is a failure, what cannot be told an error.
    """
    suite = ElementTree.Element("testsuite", name="vtab gate")
    classname = f"vtab.gate.{report.protocol}"
    for backbone in report.backbones:
        verdict: str = backbone.verdict
        if verdict == "inconclusive" and report.policy.inconclusive == "fail":
            verdict = "cannot tell"
        _case(suite, classname, backbone.called, verdict, " ".join(backbone.reasons), _mean(backbone, report))
        for test in backbone.tests:
            if test.kind != "suite" and test.tier == "fail":
                verdict = "worse" if test in backbone.broken else "ok"
                reason = f"{test.in_words()} is worse by more than {100 * test.margin:g} points."
                said = reason if verdict == "worse" else ""
                _case(suite, f"{classname}.{backbone.called}", test.name, verdict, said, _change(test))
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
    facts = "\n".join(filter(None, (reason, facts)))
    if tag is not None:
        found = ElementTree.SubElement(case, tag, message=for_xml(plain(reason or verdict)), type=verdict)
        found.text = for_xml(facts)
    elif facts:
        ElementTree.SubElement(case, "system-out").text = for_xml(facts)
