"""What reads text of others: for each kind its valid examples, and how mlbutler reads one and shows what it holds."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mlbutler import record_file
from mlbutler.bundle import as_claim, pack_bundle, read_bundle
from mlbutler.comparison.comparison import Comparison, compare_snapshots
from mlbutler.comparison.images import image_kind, is_whole
from mlbutler.comparison.snapshot import PlotDefinition, Snapshot, Source, StageParams, Stored
from mlbutler.comparison.tables import UnreadableTable, read_rows, shape
from mlbutler.experiments import plain_pickle
from mlbutler.experiments.experiment import Experiment, dump_experiment, experiment_id, parse_experiment
from mlbutler.experiments.state import State
from mlbutler.gate.waivers import parse_waivers
from mlbutler.junit_file import count
from mlbutler.live_lines import LiveLines, clean
from mlbutler.parsing import parse_json, parse_toml, parse_yaml
from mlbutler.record import CompareResult, Outcome, PlotKind, Record
from mlbutler.remotes.trust import from_text
from mlbutler.report import inline_svg
from mlbutler.report.plots import image_difference
from mlbutler.report.renderings import FILES, render
from mlbutler.secrets import Redactor
from mlbutler.settings import ReportSettings
from mlbutler.settings import parse_settings as settings_of
from mlbutler.store.interface import ObjectId
from mlbutler.store.manifest import parse_manifest
from tests.fuzz import answers, projects
from tests.fuzz.oracles import Fault, require_harmless
from tests.report.conftest import png, sample
from tests.report.test_html import check_inert as require_inert_page
from tests.report.test_markdown import check_inert

RECORD = sample()
LARGE_PAGE = 400_000


@dataclass(frozen=True)
class Target:
    """What reads one kind of input.

    Attributes:
        kind: how it is changed: see `mutations.mutated`. read: takes the input, the folder in which it works, and
            random numbers for choices of its own.
    """

    name: str
    kind: str
    seeds: Sequence[bytes]
    read: Callable[[bytes, Path, Random], None]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


# ------------------------------------------------------------------------------------------- reports


def shown(record: Record, random: Random) -> None:
    """Render a record as one of the things that it becomes; nothing in it acts."""
    record = record_file.redacted_record(record, Redactor(()))
    kind = random.choice((*FILES, "md", "md", "md"))
    text = render(kind, record, ReportSettings())
    text.encode()
    if kind == "md":
        check_inert(text)
    elif kind == "html" and len(text) < LARGE_PAGE:
        require_inert_page(text, record)
    elif kind == "verdict":
        require_harmless(text)


def _compared(new: Snapshot, old: Snapshot, random: Random) -> None:
    found = compare_snapshots(old, new, {"m.json:accuracy": "maximize"})
    names = [field.name for field in dataclasses.fields(Comparison)]
    values = {name: getattr(found, name) for name in names}
    result = CompareResult(outcome=Outcome.PASSED, reason="", **values)
    shown(dataclasses.replace(RECORD, compare=result), random)


# ------------------------------------------------------------------------------------------- files of a project

METRICS = {
    "json": _json({"accuracy": 0.9, "per class": {"a": [1, 2.5, None], "b": "text"}, "n": 12345678901234567890}),
    "yaml": b"accuracy: 0.9\nnested:\n  loss: &l 1e-3\n  same: *l\n  day: 2020-01-01\n"
    b"list: [1, two, .inf]\ntext: |\n  a\n  b\n",
    "toml": b'accuracy = 0.9\n[nested]\nloss = 1e-3\nday = 2020-01-01\nlist = [1, 2]\ntext = """a\nb"""\n',
    "py": b"accuracy = 0.9\nclass Net:\n    size: int = 3\n"
    b"    def __init__(self):\n        self.rate = [1e-3, {'a': (1,)}]\n",
    "csv": b"Name,Value,Timestamp,Step\naccuracy,0.8,1,0\naccuracy,0.9,2,1\nloss,1e-3,2,1\n",
}  # fmt: skip
DVCLIVE = (_json({"step": 3, "accuracy": 0.93, "train": {"loss": 0.1}, "gpu": {"0": {"usage": 12.5}}}),
           b"step\taccuracy\n0\t0.5\n1\t0.7\n")  # fmt: skip


def _metrics(content: bytes, folder: Path, random: Random) -> None:
    name = f"m.{random.choice(list(METRICS))}"
    before = Source(METRICS[name.partition(".")[2]])
    _compared(_snapshot(name, Source(content)), _snapshot(name, before), random)


def _snapshot(name: str, source: Source) -> Snapshot:
    return Snapshot(
        "a" * 40, metrics={name: source}, params={name: source}, stage_params=(StageParams("train", {name: ()}),)
    )


PLOTS = (
    b"step,loss,accuracy\n0,1.5,0.2\n1,0.7,0.5\n2,nan,0.8\n",
    b"actual\tpredicted\ncat\tdog\ncat\tcat\n",
    _json([{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.5, "extra": [1]}]),
    _json({"roc": [{"fpr": 0.0, "tpr": 0.0}, {"fpr": 1.0, "tpr": 1.0}]}),
    b"- {step: 0, loss: 1.0}\n- {step: 1, loss: .nan}\n",
    *DVCLIVE,
)


def _plots(content: bytes, folder: Path, random: Random) -> None:
    name = f"plot.{random.choice(('csv', 'tsv', 'json', 'yaml', 'png', 'svg'))}"
    y = random.choice(("loss", "", "accuracy", "predicted"))
    definition = PlotDefinition("plot", (name,), x=random.choice(("", "step", "actual")), y={name: (y,)} if y else {},
                                template=random.choice(("", "confusion", "linear")),
                                header=random.random() < 0.8)  # fmt: skip
    sides = [Source(content), Source(random.choice(PLOTS))]
    random.shuffle(sides)
    new, old = (Snapshot("a" * 40, plots=(definition,), plot_data={name: side}) for side in sides)
    _compared(new, old, random)


TABLES = (b"id,text,label\n1,a,0\n2,b,1\n", b"id\tlabel\n1\t0\n", b'{"id": 1, "label": 0}\n{"id": 2, "label": "x"}\n')


def _tables(content: bytes, folder: Path, random: Random) -> None:
    name = f"t.{random.choice(('csv', 'tsv', 'jsonl', 'parquet', 'x'))}"
    try:
        shape(name, Stored(content=content), 1 << 20)
        for row in read_rows(name, Stored(content=content), random.choice(((), ("id",), ("id", "label")))):
            "".join(row).encode()
    except UnreadableTable as error:
        require_harmless(clean(str(error)))


def _yaml(content: bytes, folder: Path, random: Random) -> None:
    parse_yaml(content.decode("utf-8", "replace"), "dvc.lock")


SETTINGS = (
    b'[data]\nmirror = "/srv/mirror"\njobs = 4\n[test]\ncommand = "pytest"\n'
    b'[gate]\nrules = ["m.json:accuracy >= 0.9"]\n',
    b'[verify]\nsample = "10%"\ntolerance = 1e-6\ntimeout = "2h"\n[isolation]\nmode = "auto"\nwritable = ["~/x"]\n',
    b'[comment]\nwhen = "always"\ntitle = "x"\n[report]\nname = "gpu"\n'
    b'[commit]\nas = "pull-request"\nauthor = "A <a@b>"\n',
    b'[forge]\nkind = "github"\nurl = "https://git.example.org"\n[train]\non = "jenkins"\nretries = 2\n',
)  # fmt: skip
WAIVERS = (b'[[waiver]]\ngate = "accuracy"\nreason = "known"\nowner = "ada"\nuntil = 2030-01-01\n',)
CONFIGS = (b'[core]\n    remote = storage\n["remote \'storage\'"]\n    url = s3://bucket/path\n    endpointurl = http://x\n',
           b'[cache]\n    dir = ../cache\n[\'remote "a"\']\n    url = ../a\n[db]\n    x = 1\n')  # fmt: skip


def _settings(content: bytes, folder: Path, random: Random) -> None:
    settings_of(content.decode("utf-8", "replace"))


def _waivers(content: bytes, folder: Path, random: Random) -> None:
    parse_waivers(content.decode("utf-8", "replace"))


def _config(content: bytes, folder: Path, random: Random) -> None:
    from_text(content)


MANIFESTS = (
    _json([{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": path} for path in ("a.txt", "b/c.txt", "b/d e.txt")]),
    _json([]),
)


def _manifest(content: bytes, folder: Path, random: Random) -> None:
    """Whatever it names lies below the directory."""
    top = folder.resolve()
    for path in parse_manifest(content, ObjectId("0" * 32 + ".dir")):
        if not (top / path).resolve().is_relative_to(top) or ".git" in path.lower().split("/"):
            raise Fault(f"the path {path!r} leads elsewhere")


JUNIT = (
    b'<testsuites><testsuite name="s" tests="2"><testcase classname="c" name="a" file="t.py" line="3" time="0.1">'
    b'<failure message="no">trace\nt.py:4: AssertionError</failure></testcase><testcase name="b"><skipped/></testcase>'
    b"</testsuite></testsuites>",
    b'<testsuite tests="1"><testcase name="x"><error>e</error><system-out>o</system-out></testcase></testsuite>',
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite name="&b;"/>',
)


def _junit(content: bytes, folder: Path, random: Random) -> None:
    (folder / "junit.xml").write_bytes(content)
    found = count(folder, ["*.xml"], 0.0)
    tests = dataclasses.replace(RECORD.test, failed_cases=tuple(found.failed)) if RECORD.test else None
    shown(dataclasses.replace(RECORD, test=tests), random)


# ------------------------------------------------------------------------------------------- pictures and charts

_URI = png(200, 10, 10, 16)
_PNG = __import__("base64").b64decode(_URI.partition(",")[2])
PICTURES = (
    _PNG, b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xda\0\x08\x01\x01\0\0?\0\xd2\xff\xd9",
    b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0",
)  # fmt: skip


def _pictures(content: bytes, folder: Path, random: Random) -> None:
    kind = image_kind(content)
    if kind is not None:
        is_whole(content, kind)
        image_difference.difference(_PNG, content)
    plot = PlotDefinition("p", ("p.png",))
    _compared(Snapshot("a" * 40, plots=(plot,), plot_data={"p.png": Source(content)}),
              Snapshot("b" * 40, plots=(plot,), plot_data={"p.png": Source(_PNG)}), random)  # fmt: skip


DRAWINGS = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10" viewBox="0 0 10 10"><defs><clipPath id="c"><rect '
    b'width="1" height="1"/></clipPath></defs><g clip-path="url(#c)"><path d="M0 0L1 1" stroke="#000"/><text x="1">a'
    b'</text></g><a href="https://x"><circle r="1"/></a></svg>',
    b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><image href="http://x"/></svg>',
    b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>',
)


def _drawings(content: bytes, folder: Path, random: Random) -> None:
    made = inline_svg.element(content.decode("utf-8", "replace"), "a chart", "p1")
    low = made.lower()
    if any(word in low for word in ("<script", "<image", "<foreignobject", "<use", "<style", "<!", " on", "href")):
        outside = __import__("re").sub(r">[^<]*<", "><", low)
        attributes = __import__("re").sub(r'"[^"]*"', "", outside)
        if any(
            word in attributes
            for word in ("<script", "<image", "<foreignobject", "<use", "<style", "<!", " on", "href")
        ):
            raise Fault(f"a drawing that acts: {made[:200]}")


TEMPLATES = (
    _json({"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "title": "<DVC_METRIC_TITLE>",
           "data": {"values": "<DVC_METRIC_DATA>"}, "mark": "line",
           "encoding": {"x": {"field": "<DVC_METRIC_X>"}, "y": {"field": "<DVC_METRIC_Y>"}}}),
    _json({"data": {"values": "<DVC_METRIC_DATA>"}, "layer": [{"mark": {"type": "point"}}],
           "transform": [{"filter": "x"}]}),
)  # fmt: skip


def _templates(content: bytes, folder: Path, random: Random) -> None:
    from mlbutler.project.vega import with_specifications

    (folder / "own.json").write_bytes(content)
    plot = PlotDefinition("plot", ("p.csv",), x="step", y={"p.csv": ("loss",)}, template="own.json")
    data = {"p.csv": Source(random.choice(PLOTS))}
    side = Snapshot("a" * 40, plots=(plot,), plot_data=data)
    changes = with_specifications(folder, compare_snapshots(side, side, {}).plots, side, side)
    for change in changes:
        if change.specification:
            json.loads(change.specification)
            if any(f'"{word}"' in change.specification.lower() for word in ("url", "href", "usermeta")):
                raise Fault("a chart that could fetch something")
        if change.kind is PlotKind.IMAGE:
            raise Fault("a template became a picture")


# ------------------------------------------------------------------------------------------- records

_RECORD = record_file.dumps(RECORD).encode()
_SMALL = record_file.dumps(dataclasses.replace(RECORD, compare=None)).encode()


def _record(content: bytes, folder: Path, random: Random) -> None:
    record_file.dumps(record_file.loads(content))


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP file with these."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def _bundle_of(content: bytes) -> bytes:
    import hashlib

    entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return zipped({"manifest.json": _json({"version": 1, "files": {"record.json": entry}}), "record.json": content})


def _bundle(content: bytes, folder: Path, random: Random) -> None:
    """A bundle as bytes, or whole with another record in it, as a fork's build may hand over."""
    from mlbutler.commands.publish_bundle import _showing

    (folder / "bundle.zip").write_bytes(content if content.startswith(b"PK") else _bundle_of(content))
    record = read_bundle(folder / "bundle.zip")
    with _showing():
        shown(as_claim(record, RECORD.change), random)


STATES = tuple(
    dump_experiment(
        Experiment(
            id=experiment_id("a" * 40, "", ()),
            name="lr-1",
            grid="lr",
            baseline="b" * 40,
            input="a" * 40,
            state=state,
            tail=("no",),
            build="https://ci/job/x/3/",
            engine="jenkins",
        )
    )
    for state in (State.WAITING, State.FAILED)
)


def _state(content: bytes, folder: Path, random: Random) -> None:
    found = parse_experiment(content)
    for text in (found.name, found.grid, found.reason, found.remedy, found.host, found.user, found.agent, *found.tail):
        require_harmless(text)
    if ".." in found.project.split("/") or found.project.startswith("/"):
        raise Fault(f"the folder {found.project!r} leads elsewhere")


PROGRESS = (_json({"head": "a" * 40, "started": 1.5, "stages": 3, "running": "train",
                   "done": [{"name": "prepare", "outcome": "ran", "duration": 1.0}]}),)  # fmt: skip


def _progress(content: bytes, folder: Path, random: Random) -> None:
    from mlbutler.reproduce.progress import read_ended_stages

    (folder / ".mlbutler").mkdir(exist_ok=True)
    (folder / ".mlbutler" / "progress.json").write_bytes(content)
    stages = read_ended_stages(folder)
    assert RECORD.reproduce is not None
    shown(dataclasses.replace(RECORD, reproduce=dataclasses.replace(RECORD.reproduce, stages=stages)), random)


def _pickle(content: bytes, folder: Path, random: Random) -> None:
    try:
        plain_pickle.read_pickle(content)
    except plain_pickle.NotPlain:
        return


# ------------------------------------------------------------------------------------------- streams

LOGS = (
    b"epoch 1: loss 0.5\rloss 0.4\rloss 0.3\n\x1b[32mdone\x1b[0m\n::set-output name=a::b\n##vso[task.complete]x\n",
    b"Started by user ada\n\x1b[8mha:////4AAAA=\x1b[0m[Pipeline] node\n[Pipeline] { (train)\nFinished: SUCCESS\n",
    "\u202eabc\u2066 caf\u00e9 \U0001f389\n".encode() * 3,
)


def _log(content: bytes, folder: Path, random: Random) -> None:
    """In pieces of any size it comes out as harmless lines of bounded length."""
    lines: list[str] = []
    stream = LiveLines(lines.append)
    left = content
    while left:
        size = random.choice((1, 2, 7, 64, 4096, 1 << 20))
        stream.feed(left[:size])
        left = left[size:] if size > 7 or len(left) < 2000 else left[2000:]
    stream.close()
    for line in lines:
        if "\n" in line or len(line) > 20_000:
            raise Fault("a line that is none")
        require_harmless(line)


def _parsers(content: bytes, folder: Path, random: Random) -> None:
    random.choice((parse_json, parse_toml))(content, "settings")


TARGETS = {
    target.name: target
    for target in (
        Target("settings", "lines", SETTINGS, _settings),
        Target("waivers", "lines", WAIVERS, _waivers),
        Target("DVC configuration", "lines", CONFIGS, _config),
        Target("YAML", "lines", (METRICS["yaml"],), _yaml),
        Target("JSON and TOML", "lines", (METRICS["json"], METRICS["toml"]), _parsers),
        Target("manifests", "json", MANIFESTS, _manifest),
        Target("metrics and parameters", "lines", (*METRICS.values(), *DVCLIVE), _metrics),
        Target("metrics as JSON", "json", (METRICS["json"], DVCLIVE[0]), _metrics),
        Target("plots", "lines", PLOTS, _plots),
        Target("plots as JSON", "json", PLOTS[2:4], _plots),
        Target("tables", "lines", TABLES, _tables),
        Target("JUnit", "lines", JUNIT, _junit),
        Target("pictures", "bytes", PICTURES, _pictures),
        Target("SVG", "lines", DRAWINGS, _drawings),
        Target("Vega templates", "json", TEMPLATES, _templates),
        Target("records", "json", (_SMALL, _RECORD), _record),
        Target("bundles", "json", (_SMALL, _RECORD), _bundle),
        Target("bundles as bytes", "bytes", (pack_bundle(RECORD, Redactor(())),), _bundle),
        Target("states of experiments", "json", STATES, _state),
        Target("progress of stages", "json", PROGRESS, _progress),
        Target("pickles of DVC's queue", "bytes", (pickle.dumps({"a": [1, "x", (None, True)]}),), _pickle),
        Target("logs", "lines", LOGS, _log),
        Target("answers of forges", "json", answers.FORGES, answers.forge),
        Target("answers of Jenkins", "json", answers.CONTROLLERS, answers.controller),
        Target("logs of Jenkins", "lines", LOGS, answers.console),
        *(Target(name, "lines", (projects.FILES[name],), projects.reader(name)) for name in projects.HOSTILE),
    )
}
