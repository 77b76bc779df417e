from __future__ import annotations

import dataclasses
import re
from itertools import takewhile
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlbutler import record as r
from mlbutler.record import Outcome, Record, Verdict
from mlbutler.report import markdown, markdown_writer
from mlbutler.report.build import build, title
from mlbutler.report.marker import marker, parse_marker
from mlbutler.report.model import Report, Table
from mlbutler.report.pictures import of_report
from mlbutler.settings import ReportSettings as Settings

from .conftest import BASE, HEAD, sample
from .hostile import ACTS, hostile_text, poison_record

PAGES, BUILD = "https://git.example.org/vision/digits", "https://ci.example.org/job/digits/job/PR-17/4/"
OURS = {f"{PAGES}/pulls/17", BUILD, f"{BUILD}mlbutler/"} | {f"{PAGES}/commit/{id}" for id in (HEAD, BASE, "b" * 40)}
TAGS = re.compile(r"</?(?:details|summary|code|b|pre)(?: open)?>|<!-- mlbutler:report:[^<>]* head=[^\s<>]* -->")


def tables(text: str) -> list[list[str]]:
    """The tables of a Markdown text, each as its lines."""
    lines = text.split("\n")
    starts = [
        i for i, line in enumerate(lines) if line.startswith("| ") and (i == 0 or not lines[i - 1].startswith("|"))
    ]
    return [list(takewhile(lambda line: line.startswith("|"), lines[start:])) for start in starts]


def check_inert(text: str) -> None:
    """Nothing in it acts, tables are whole, and only our own tags and links are there."""
    outside = re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
    assert not ACTS.search(outside)
    assert not re.search(r"^\s*/", text, re.MULTILINE)  # inside of <pre> too: what reads commands knows no HTML
    assert "<" not in TAGS.sub("", text)
    assert text.count("<details") == text.count("</details>")
    assert text.count("<pre>") == text.count("</pre>")
    assert not re.search(r"@\w|(?<!&)#\d|!\[|://(?!git\.example\.org|ci\.example\.org)", outside)
    for table in tables(outside):
        assert {line.count("|") for line in table} == {table[0].count("|")}
        assert re.fullmatch(r"\|( -{3}:? \|)+", table[1])
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    inline = [child for token in tokens for child in (token.children or [])]
    assert not [t for t in inline if t.type in ("image", "s_open", "em_open", "code_inline", "hardbreak")]
    assert not [t for t in tokens if t.type in ("fence", "code_block", "blockquote_open", "hr")]
    assert [t.tag for t in tokens if t.type == "heading_open"] == ["h3"]
    assert {str(t.attrs["href"]) for t in inline if t.type == "link_open"} <= OURS


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), words=st.booleans())
def test_text_of_a_pull_request_is_inert_wherever_it_stands(record: Record, data: st.DataObject, words: bool) -> None:
    pool = data.draw(st.lists(hostile_text, min_size=21, max_size=21))
    turn = iter(range(10**6))
    evil = poison_record(record, lambda: pool[next(turn) % len(pool)], words=words)
    text = markdown.render(evil, Settings())
    check_inert(text)
    assert text.encode("utf-8")
    assert len(re.findall("<!-- mlbutler:report:", text)) == 1


def test_the_sample_is_inert_too(record: Record) -> None:
    check_inert(markdown.render(record, Settings()))


def test_the_verdict_sentence_comes_first_and_the_marker_last(record: Record) -> None:
    lines = markdown.render(record, Settings()).strip().split("\n")
    assert lines[0] == "### ❌ mlbutler: feature/faster-learning"
    assert lines[2] == "**Worse**: test.accuracy 0.92083 -> 0.89444 (-0.02639, limit -0.01)"
    assert lines[-1] == f"<!-- mlbutler:report:mlbutler head={record.change.head} -->"


def test_at_most_eight_metrics_are_shown_and_the_rest_is_folded(record: Record) -> None:
    text = markdown.render(record, Settings())
    shown, folded = tables(text)[:2]
    assert len(shown) == 2 + 8
    assert len(folded) == 2 + 2
    assert "<summary><b>Further metrics</b>: 2 more, all unchanged</summary>" in text
    assert "test.accuracy" in shown[2]  # the broken gate is the first row


def test_of_many_metrics_the_largest_changes_are_shown(record: Record) -> None:
    assert record.compare is not None
    metrics = tuple(
        r.MetricChange(file="m.json", name=f"acc{n:02}", old=1.0, new=1.0 - n / 100, difference=-n / 100,
                       relative=-n / 100, goal="maximize", verdict=Verdict.WORSE)
        for n in range(1, 31)
    )  # fmt: skip
    compare = dataclasses.replace(record.compare, metrics=metrics, gates=(), not_judged=())
    shown = tables(markdown.render(dataclasses.replace(record, compare=compare), Settings()))[0]
    assert [line.split("<code>")[1].split("<")[0] for line in shown[2:]] == [f"acc{n}" for n in range(30, 22, -1)]


def test_of_a_metric_file_with_a_number_for_each_example_a_thousand_are_shown(record: Record) -> None:
    assert record.compare is not None
    many = tuple(r.MetricChange(file="m.json", name=f"x{n}", old=1, new=1, verdict=Verdict.SAME) for n in range(5_000))
    compare = dataclasses.replace(record.compare, metrics=(*many, *record.compare.metrics))
    report = build(dataclasses.replace(record, compare=compare), Settings())
    sections = [section for section in report.sections if "metrics" in section.name]
    rows = [row for section in sections for block in section.blocks if isinstance(block, Table) for row in block.rows]
    assert len(rows) == 1_000
    assert "test.accuracy" in str(rows[0])
    assert "The first 1,000 of 5,010 metrics" in str(sections[-1].blocks[-1])


def test_improvement_follows_the_verdict_never_the_sign(record: Record) -> None:
    text = markdown.render(record, Settings())
    latency = next(line for line in text.split("\n") if "latency_ms" in line and "|" in line)
    assert "−1.5" in latency
    assert "▲ better" in latency
    assert "warned: max 10" in latency  # a broken ceiling does not make an improvement worse
    assert "no gate" in next(line for line in text.split("\n") if "<code>epochs</code>" in line)


def test_a_comparison_without_any_gate_says_so_loudly(record: Record) -> None:
    assert record.compare is not None
    bare = dataclasses.replace(record, compare=dataclasses.replace(record.compare, gates=()))
    assert "**No metric has a gate.**" in markdown.render(bare, Settings())
    assert "**No metric has a gate.**" not in markdown.render(record, Settings())


def test_many_numbers_without_a_direction_hide_no_other_reason(record: Record) -> None:
    compare = record.compare
    assert compare is not None
    many = tuple((f"m.json:k{number}", "no direction is known") for number in range(3000))
    compare = dataclasses.replace(compare, not_judged=(*many, ("m.yaml", "here: not valid YAML")))
    text = markdown.render(dataclasses.replace(record, compare=compare), Settings())
    assert "<code>m.yaml</code>: here: not valid YAML" in text
    assert "<code>m.json:k0</code> and 2,999 more: no direction is known" in text


def test_what_was_not_judged_is_listed_with_its_reason(record: Record) -> None:
    text = markdown.render(record, Settings())
    assert "- <code>metrics.json:status</code>: not a number" in text
    assert "<code>metrics.json:recall</code>: its gate was not judged, no such metric in this change" in text


def test_metrics_are_chosen_by_globs_and_unchanged_ones_can_be_hidden(record: Record) -> None:
    chosen = markdown.render(record, Settings(metrics=("metrics.json:t*",)))
    assert "test.loss" in tables(chosen)[0][3]
    assert "latency_ms</code>" not in "\n".join(tables(chosen)[0])
    hidden = markdown.render(record, Settings(hide_unchanged=True))
    assert "<code>samples</code>" not in hidden
    assert "2 unchanged metrics not shown." in hidden


def test_precision_is_in_significant_digits_but_a_difference_stays_visible(record: Record) -> None:
    text = markdown.render(record, Settings(precision=2))
    assert "| <code>test.loss</code> | 0.31 | 0.27 |" in text
    assert "| <code>macro.f1</code> | 0.92010 | 0.92011 |" in text


def test_plots_and_images_can_be_switched_off(record: Record) -> None:
    assert "<code>Training loss</code> | last loss | 0.33890 | 0.27116 |" in markdown.render(record, Settings())
    without = markdown.render(record, Settings(plots=False))
    assert "Training loss" not in without
    assert "first layer.png" in without
    assert "first layer.png" not in markdown.render(record, Settings(images=False))


def test_a_failed_stage_is_the_headline_with_the_last_lines_of_its_log(record: Record) -> None:
    tail = ("epoch 1", "\x1b[31mRuntimeError: <out of memory>\x1b[0m", "10%\r20%\r100%")
    failed = r.StageRun(name="train", outcome="failed", duration=12.0, exit_code=137, tail=tail)
    result = r.ReproduceResult(
        outcome=Outcome.FAILED, reason="stage train failed", remedy="See the log.", stages=(failed,)
    )
    text = markdown.render(dataclasses.replace(record, reproduce=result), Settings())
    assert "\n**Failed**: reproduce: stage train failed\n" in text
    assert "Stage train failed after 12.0 s, exit code 137" in text
    assert "RuntimeError: &lt;out of memory&gt;\n100%\n</pre>" in text
    assert "compare: worse: test.accuracy" in text


def test_what_the_plan_expected_stands_beside_what_it_was(record: Record) -> None:
    assert record.plan is not None
    cost = r.Cost(download_bytes=3_900_000, seconds=70.0)
    plan = dataclasses.replace(record.plan, expected=cost)
    text = markdown.render(dataclasses.replace(record, plan=plan), Settings())
    assert "Expected by the plan: 3.7 MB to download (it was 3.8 MB); 1 min of running (it took 1 min)." in text
    assert "Expected by the plan" not in markdown.render(record, Settings())


def test_an_outside_error_outweighs_a_failure_and_brings_its_remedy(record: Record) -> None:
    result = r.SyncResult(outcome=Outcome.ERROR, reason="remote 'storage' did not answer", remedy="Try again.")
    text = markdown.render(dataclasses.replace(record, sync=result), Settings())
    assert "\n**Error**: sync: remote 'storage' did not answer\n" in text
    assert "**What to do**: Try again" in text


def test_what_the_checks_only_note_is_told(record: Record) -> None:
    assert record.check is not None
    noted = dataclasses.replace(record.check, notes=("dvc.lock keeps what no dvc.yaml declares any more: old",))
    text = markdown.render(dataclasses.replace(record, check=noted), Settings())
    assert "dvc.lock keeps what no dvc.yaml declares any more: old." in text.replace("\\", "")


def test_a_passing_comparison_is_told_by_its_verdict(record: Record) -> None:
    better = r.CompareResult(
        outcome=Outcome.PASSED, reason="", verdict=Verdict.BETTER, sentence="Better: f1 0.8 -> 0.9"
    )
    said = dataclasses.replace(record, compare=better, check=None)
    assert "\n**Better**: f1 0.8 -> 0.9\n" in markdown.render(said, Settings())


def test_an_improvement_above_a_ceiling_failed_but_is_not_called_worse(record: Record) -> None:
    metric = r.MetricChange(file="m.json", name="ms", old=30, new=20, difference=-10.0, verdict=Verdict.BETTER)
    gate = r.GateResult(
        metric="m.json:ms",
        rule="max 10",
        level="fail",
        outcome="failed",
        sentence="m.json:ms is 20 (must be at most 10)",
    )
    compare = r.CompareResult(
        outcome=Outcome.FAILED, reason="", verdict=Verdict.WORSE, metrics=(metric,), gates=(gate,),
        sentence="Failed: m.json:ms is 20 (must be at most 10)",
    )  # fmt: skip
    text = markdown.render(dataclasses.replace(record, compare=compare, check=None), Settings())
    assert "\n**Failed**: ms is 20 (must be at most 10)\n" in text
    assert "| <code>ms</code> | 30 | 20 | −10 | ▲ better | failed: max 10 |" in text
    assert text.count("must be at most 10") == 1


def test_a_warning_is_the_headline_but_no_failure(record: Record) -> None:
    gate = r.GateResult(metric="ms", rule="max 10", level="warn", outcome="warned", sentence="ms is 20")
    compare = r.CompareResult(
        outcome=Outcome.PASSED, reason="", verdict=Verdict.WORSE, gates=(gate,), sentence="Warning: ms is 20"
    )
    text = markdown.render(dataclasses.replace(record, compare=compare, check=None), Settings())
    assert "\n**Warning**: ms is 20\n" in text


def test_a_record_with_nothing_in_it_still_makes_a_report(record: Record) -> None:
    bare = r.Record(change=record.change, environment=record.environment)
    assert "\n**Nothing judged**: nothing was compared\n" in markdown.render(bare, Settings())


def test_how_to_get_the_results_is_there_only_with_a_results_commit(record: Record) -> None:
    assert "<pre>\ngit pull\ndvc pull\n</pre>" in markdown.render(record, Settings())
    without = dataclasses.replace(record, commit=r.CommitResult(outcome=Outcome.SKIPPED, reason="nothing to commit"))
    assert "git pull" not in markdown.render(without, Settings())


def test_provenance_names_commits_versions_and_the_command_that_does_it_again(record: Record) -> None:
    text = markdown.render(record, Settings())
    for expected in (
        record.change.head,
        record.change.base,
        record.lock_hash,
        "agent-3",
        "DVC 3.67.0",
        "1,853 objects",
    ):
        assert str(expected) in text
    assert f"mlbutler run --against {record.change.base} --no-publish" in text


@pytest.fixture(scope="module")
def large() -> Report:
    """A report of thousands of rows."""
    record = sample()
    params = tuple(
        r.ParamChange(file="params.yaml", name=f"group.ключ{i}|", kind="changed", old="`x`" * 50, new="y" * 150)
        for i in range(5000)
    )
    data = tuple(r.DataChange(path=f"data/{i}", kind="added", new_size=i, reason="*" * 300) for i in range(3000))
    assert record.compare is not None
    compare = dataclasses.replace(record.compare, params=params, data=data)
    return build(dataclasses.replace(record, compare=compare), Settings())


@pytest.mark.parametrize("unit", ["characters", "bytes"])
@pytest.mark.parametrize("limit", [65_535, 32_768, 9_000, 3_000])
def test_a_report_is_made_to_fit_by_dropping_whole_sections(large: Report, limit: int, unit: markdown.Unit) -> None:
    text = markdown.fit(large, markdown.Limits(limit, unit))
    assert len(text if unit == "characters" else text.encode()) <= limit
    check_inert(text)
    assert text.rstrip().endswith("-->")
    assert "rows not shown)" in text
    assert text.startswith("### ❌ mlbutler: feature/faster-learning\n\n**Worse**: test.accuracy")
    assert f". [The whole report]({BUILD}mlbutler/)." in text


def test_metrics_outlive_params_when_room_is_short(large: Report) -> None:
    text = markdown.fit(large, markdown.Limits(9_000))
    assert len(tables(text)[0]) == 2 + 8
    assert "Parameter |" not in text


def test_long_tables_say_how_many_rows_they_leave_out(large: Report) -> None:
    assert "4,900 rows not shown." in markdown.fit(large, markdown.Limits())


def test_the_head_of_a_comment_is_found_again_by_its_title(record: Record) -> None:
    deep = dataclasses.replace(record, project='teams/--> "vision')
    body = markdown.render(deep, Settings())
    title = 'mlbutler teams/--> "vision'
    assert parse_marker(body, title) == record.change.head
    assert parse_marker(body, "mlbutler") is None
    assert parse_marker("somebody's comment", title) is None


def test_a_place_without_html_gets_none(record: Record) -> None:
    text = markdown.render(record, Settings(), markdown.Limits(32_768, html=False))
    assert "<" not in text
    assert "    " in text  # logs, as indented blocks
    assert text.rstrip().splitlines()[-1].startswith("[//]: # (mlbutler:report:mlbutler head=")
    assert parse_marker(text, "mlbutler") == record.change.head


@pytest.mark.parametrize("title", ["mlbutler", "mlbutler a)b(c", "mlbutler --> <x> ü", "mlbutler head=y z"])
@pytest.mark.parametrize("html", [True, False])
def test_any_title_is_found_again(title: str, html: bool) -> None:
    assert parse_marker("x\n\n" + marker(title, "a" * 40, html=html), title) == "a" * 40


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.from_regex(r"(|[a-z0-9]+([._-][a-z0-9]+)*)", fullmatch=True), st.text(min_size=1)), max_size=5
    )
)
def test_no_two_pipelines_and_folders_share_a_comment(record: Record, found: list[tuple[str, str]]) -> None:
    which = {(name, folder.strip("/")) for name, folder in [*found, ("", "gpu"), ("gpu", ""), ("gpu", "gpu"), ("", "")]}
    heads = {
        pair: marker(title(dataclasses.replace(record, report_name=pair[0], project=pair[1])), "f" * 40)
        for pair in which
    }
    assert len(set(heads.values())) == len(which)
    assert heads["", ""] == f"<!-- mlbutler:report:mlbutler head={'f' * 40} -->"
    assert heads["", "gpu"] == f"<!-- mlbutler:report:mlbutler gpu head={'f' * 40} -->"
    assert heads["gpu", ""] == f"<!-- mlbutler:report:mlbutler/gpu head={'f' * 40} -->"


def test_nothing_is_drawn_where_no_place_shows_pictures(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(plot: r.PlotChange) -> NoReturn:
        raise AssertionError(f"{plot.file} is drawn")

    before = markdown.render(record, Settings())
    monkeypatch.setattr(markdown_writer, "of_plot", never)
    assert markdown.render(record, Settings()) == before
    with pytest.raises(AssertionError, match="is drawn"):
        markdown.render(record, Settings(), pictures={"plot-0.svg": "https://forge.example/p.svg"})


def test_pictures_are_shown_by_their_address_or_missed_aloud(record: Record) -> None:
    files = of_report(build(record, Settings()))
    assert {file.media for file in files} == {"image/svg+xml", "image/png"}
    placed = {f.name: f"/uploads/{f.name}" for f in files[1:]} | {files[0].name: ""}
    text = markdown.render(record, Settings(), pictures=placed)
    for file in files[1:]:
        assert f"](/uploads/{file.name})" in text
    assert "Training loss: **no picture**: the forge did not take it" in text


def test_without_pictures_the_report_says_where_they_are(record: Record) -> None:
    text = markdown.render(record, Settings())
    assert "![" not in text
    assert f"Pictures are not shown here. [The whole report]({BUILD}mlbutler/)." in text


def test_an_interrupted_run_has_no_verdict_and_shows_how_far_it_came(record: Record) -> None:
    assert record.push is not None
    push = dataclasses.replace(record.push, outcome=Outcome.INTERRUPTED, reason="Interrupted.", started="t")
    text = markdown.render(dataclasses.replace(record, push=push), Settings())
    assert "\n**Interrupted**: during push" in text
    assert "What failed" not in text
    assert "accuracy" not in text
    assert "Stages" in text


def test_what_stands_in_html_is_unfolded_where_markdown_in_it_is_not_understood(record: Record) -> None:
    text = markdown.render(record, Settings(), markdown.Limits(folds=False))
    assert "<details" not in text
    assert "<pre>" in text
    assert text.rstrip().endswith("-->")


@pytest.mark.parametrize("html", [True, False])
def test_what_is_shown_on_demand_can_be_left_to_a_branch(record: Record, html: bool) -> None:
    report = build(record, Settings())
    limits = markdown.Limits(html=html, folds=False)
    left = {section.title for section in markdown.sections_on_demand(report) if not section.quiet}
    assert left
    whole, short = markdown.fit(report, limits), markdown.fit(report, limits, branch="mlbutler/report-17")
    for section in report.sections:
        if section.quiet:
            continue
        heading = f"**{section.title}**"
        assert heading in whole or section.name == "metrics"
        assert (heading in short) == (heading in whole and section.title not in left)
    (said,) = [line for line in short.splitlines() if line.startswith("On the branch ")]
    assert "mlbutler/report-17" in said.replace("\\", "")
    assert all(title.lower() in said for title in left)
    assert parse_marker(short, "mlbutler") == record.change.head


def calm(record: Record) -> Record:
    """The same with nothing that happened: no stage ran, no metric moved, no check found anything."""
    assert record.compare is not None
    assert record.check is not None
    assert record.reproduce is not None
    assert record.sync is not None
    assert record.push is not None
    metrics = tuple(
        dataclasses.replace(m, new=m.old, difference=0.0, relative=0.0, verdict=Verdict.SAME)
        for m in record.compare.metrics
        if isinstance(m.old, float)
    )
    compare = r.CompareResult(
        outcome=Outcome.PASSED, reason="", verdict=Verdict.SAME, sentence="Same: no metric changed.", metrics=metrics,
        plots=tuple(dataclasses.replace(plot, changed=False) for plot in record.compare.plots),
    )  # fmt: skip
    unchanged = tuple(dataclasses.replace(stage, outcome="unchanged") for stage in record.reproduce.stages)
    return dataclasses.replace(
        record, compare=compare, check=dataclasses.replace(record.check, outcome=Outcome.PASSED, findings=()),
        reproduce=dataclasses.replace(record.reproduce, stages=unchanged), commit=None,
        sync=dataclasses.replace(record.sync, moved=()), push=dataclasses.replace(record.push, moved=()),
    )  # fmt: skip


def test_a_comment_has_no_section_on_what_did_not_happen(record: Record) -> None:
    text = markdown.render(calm(record), Settings())
    summaries = re.findall(r"<summary><b>(.*?)</b>", text)
    assert summaries == ["Further metrics", "Steps", "Provenance"]
    assert "not configured" not in text
    assert "| Metric |" not in text.split("<details")[0]
    report = build(calm(record), Settings())
    assert {"Tests", "Checks", "Stages", "Plots"} <= {section.title for section in report.sections}  # the page has them


def test_better_is_not_said_where_nothing_tells_it_from_noise(record: Record) -> None:
    assert record.compare is not None
    metric = r.MetricChange(file="m.json", name="acc", old=0.998, new=0.9983, difference=0.0003, relative=0.0003,
                            goal="maximize", verdict=Verdict.BETTER)  # fmt: skip
    known = dataclasses.replace(metric, name="f1", noise=0.0001, noise_by="history")
    compare = r.CompareResult(outcome=Outcome.PASSED, reason="", verdict=Verdict.BETTER, metrics=(metric,),
                              sentence="Better or noise: m.json:acc 0.9980 → 0.9983 (+0.0003).")  # fmt: skip
    text = markdown.render(dataclasses.replace(record, compare=compare, check=None), Settings())
    assert "\n**Better or noise**: acc 0.9980 → 0.9983 (+0.0003)\n" in text
    assert "| 0.9980 | 0.9983 | +0.0003 (+0.03&nbsp;%) | ▲ better or noise |" in text
    assert "Or noise: one run on each side" in text
    both = dataclasses.replace(compare, metrics=(metric, known))
    text = markdown.render(dataclasses.replace(record, compare=both, check=None), Settings())
    assert "| ±0.0001 | ▲ better |" in text
    assert "Noise is three times the median step from one measurement in the target branch to the next." in text


def test_one_picture_stands_before_what_is_folded_and_is_not_shown_twice(record: Record) -> None:
    placed = {file.name: f"/uploads/{file.name}" for file in of_report(build(record, Settings()))}
    text = markdown.render(record, Settings(), pictures=placed)
    first = text.index("![Training loss]")
    assert text.index("| <code>test.accuracy</code>") < first < text.index("<details>")
    assert text.count("![Training loss]") == 1
    assert (
        "\n| target | this change |\n| --- | --- |\n| ![plots/first layer.png, target]("
        in text.split("<b>Plots</b>")[1]
    )


def test_of_pictures_that_weigh_too_much_the_first_are_shown(record: Record) -> None:
    files = of_report(build(record, Settings()))
    placed = {file.name: f"data:{file.media};base64,{'A' * 20_000}" for file in files}
    text = markdown.render(record, Settings(), markdown.Limits(65_535, "bytes"), placed)
    assert len(text.encode()) <= 65_535
    shown = [file.name for file in files if f"]({placed[file.name]})" in text]
    assert text.count("](data:") == 2
    assert shown == [file.name for file in files][:2] or len(shown) == len(files)  # those of two sides look alike here
    assert "**no picture**: there is no room for it here" in text
    assert "| <code>Training loss</code>" in text  # no table had to go for them
