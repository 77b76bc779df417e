"""Where the numbers come from, and what the comment of a results commit's build keeps."""

from __future__ import annotations

import dataclasses

from mlbutler.record import EarlierBuild, Origin, Record, ReproduceResult, StageRun
from mlbutler.record import Outcome as O
from mlbutler.report import markdown
from mlbutler.settings import ReportSettings as Settings
from tests.report.conftest import BASE, HEAD


def render_with(record: Record, **fields: object) -> str:
    assert record.compare is not None
    compare = dataclasses.replace(record.compare, **fields)  # type: ignore[arg-type]
    return markdown.render(dataclasses.replace(record, compare=compare), Settings())


def test_one_origin_takes_one_line_and_names_no_file(record: Record) -> None:
    one = (Origin(files=("m.json",), kind="this build", stage="train"),
           Origin(files=("n.json",), kind="this build", stage="evaluate"))  # fmt: skip
    old = (Origin(files=("m.json", "n.json"), kind="dvc.lock", stage="train", commit=BASE),)
    text = render_with(record, new_origins=one, old_origins=old)
    assert "The numbers here: reproduced in this build.\n" in text
    said = f"Those of the target: as dvc.lock says, committed in <code>{BASE[:8]}</code>; not run here.\n"
    assert said in text


def test_several_origins_name_their_files_and_hostile_text_stays_text(record: Record) -> None:
    several = (
        Origin(files=("<b>m</b>.json",), kind="earlier build", commit=HEAD, head=BASE, url="https://ci.example/7/"),
        Origin(files=("n.json",), kind="file", commit=BASE),
    )
    text = render_with(record, new_origins=several)
    assert "reproduced in [an earlier build](https://ci.example/7/) of mlbutler's, of <code>9a8b7c6d</code>" in text
    assert "<b>m</b>" not in text
    assert "no stage makes them (<code>n.json</code>)" in text


def test_the_build_of_the_results_commit_keeps_what_is_known_of_the_one_that_ran(record: Record) -> None:
    ran = (StageRun(name="train", outcome="ran", duration=95.0, peak_memory=3 << 30),)
    build = EarlierBuild(commit=HEAD, head=BASE, url="https://ci.example/7/", stages=ran)
    assert record.plan is not None
    settled = dataclasses.replace(record.plan, stages=())
    nothing = ReproduceResult(outcome=O.PASSED, reason="", stages=(StageRun(name="train", outcome="unchanged"),))
    record = dataclasses.replace(record, reproduce=nothing, plan=settled)
    text = render_with(record, earlier=build)
    assert "1 ran in 2 min, in the build of 9a8b7c6d" in text
    assert "The results are those of [an earlier build](https://ci.example/7/) of" in text
    assert "| 3.0&nbsp;GB |" in text
    assert "in the build of 9a8b7c6d" not in render_with(record)
