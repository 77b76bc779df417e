"""The experiments of a sweep beside one another, the best first, and no text of theirs has a meaning."""

from __future__ import annotations

from html.parser import HTMLParser

from mlbutler.commands.train.leaderboard import build_leaderboard
from mlbutler.experiments.experiment import Experiment, Measure
from mlbutler.experiments.state import State
from mlbutler.settings import Gate


def experiment(name: str, state: State, given: str, *metrics: tuple[str, float, float]) -> Experiment:
    measures = tuple(Measure(file="m.json", name=key, value=new, before=old) for key, old, new in metrics)
    done = state is State.DONE
    return Experiment(
        id=name, name=name, grid="lr", baseline="b" * 40, input="c" * 40, state=state, metrics=measures,
        overrides=("fixed=1", given), started=100.0 if done else None, ended=160.0 if done else None,
        reason="" if done else "exit code 1 <b>|",
    )  # fmt: skip


LR = (
    experiment("lr-1", State.DONE, "rate=0.1", ("loss", 0.5, 0.4), ("accuracy", 0.9, 0.91)),
    experiment("lr-2", State.FAILED, "rate=0.2"),
    experiment("lr-3", State.DONE, "rate=<i>0.3", ("loss", 0.5, 0.3), ("accuracy", 0.9, 0.89)),
)


def test_the_best_is_first_with_what_differs_and_the_difference() -> None:
    assert build_leaderboard("lr", LR, ()).text() == [
        "lr: 2 done, 1 failed; by loss (minimize)",
        "",
        "#  name  rate    loss        accuracy      verdict                   took",
        "1  lr-3  <i>0.3  0.3 (−0.2)  0.89 (−0.01)  changed                   1 min",
        "2  lr-1  0.1     0.4 (−0.1)  0.91 (+0.01)  better                    1 min",
        "   lr-2  0.2                               failed: exit code 1 <b>|",
    ]
    first_gate = build_leaderboard("lr", LR, [Gate(metric="m.json:accuracy", min=0)])
    assert [row[1] for row in first_gate.rows] == ["lr-1", "lr-3", "lr-2"]
    assert first_gate.head[3:5] == ("accuracy", "loss")


def test_texts_are_inert_in_markdown_and_html() -> None:
    table = build_leaderboard("lr", LR, ())
    rows = [line for line in table.markdown() if line.startswith("|")]
    assert len(rows) == 5
    assert {line.count("|") for line in rows} == {8}
    assert not any("<" in line for line in rows)
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.append(tag)

    Reader().feed("\n".join(table.html()))
    assert {"i", "b"} & set(tags) == set()
    assert tags.count("tr") == 4
