"""Envelopes are those of DSSE, and statements those of in-toto; whatever else comes is refused."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

import pytest

from mlbutler import dsse, provenance
from mlbutler.errors import UsageError
from mlbutler.parsing import Unreadable
from tests.fuzz.mutations import mutated

# The key pair of RFC 8032, 7.1, test 1: no secret.
KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
PUBLIC = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
OTHER = "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
ENTRY = {
    "cmd": "python train.py",
    "deps": [
        {"path": "data.csv", "hash": "md5", "md5": "a" * 32, "size": 3},
        {"path": "raw", "hash": "md5", "md5": f"{'b' * 32}.dir", "size": 9},
    ],
    "params": {"params.yaml": {"rate": 0.1}},
    "outs": [
        {"path": "model.txt", "hash": "md5", "md5": "c" * 32},
        {"path": "plots", "hash": "md5", "md5": f"{'d' * 32}.dir"},
    ],
}
RUN = {
    "builder": "urn:mlbutler:jenkins", "versions": {"mlbutler": "1"}, "isolation": "off", "host": "h", "platform": "p",
    "build": "https://ci/1/", "when": "2026-01-01T00:00:00+00:00",
}  # fmt: skip


def make_statement(entry: dict[str, Any] = ENTRY, reproduced: str = "") -> bytes:
    return provenance.statement(
        entry, commit="e" * 40, repository="https://git.example.org/a/b", project="", stage="train",
        sha256={"model.txt": "f" * 64}, locks={"uv.lock": "0" * 64}, run=RUN, reproduced=reproduced,
    )  # fmt: skip


def test_the_public_key_is_the_one_that_openssl_shows() -> None:
    """The pair of RFC 8032, 7.1, test 1."""
    assert dsse.public_key(KEY) == PUBLIC


def test_who_signed_is_known_by_the_signature_and_not_by_what_the_envelope_says() -> None:
    envelope = dsse.parse_envelope(dsse.sign(b"text", KEY))
    assert envelope.payload == b"text"
    assert envelope.signer({"other": OTHER, "ci": PUBLIC}) == "ci"
    assert envelope.signer({"other": OTHER}) == ""
    content = json.loads(dsse.sign(b"text", KEY))
    content["payload"] = base64.b64encode(b"test").decode()
    assert dsse.parse_envelope(json.dumps(content)).signer({"ci": PUBLIC}) == ""
    content = json.loads(dsse.sign(b"text", KEY)) | {"payloadType": "text/plain"}
    with pytest.raises(Unreadable):
        dsse.parse_envelope(json.dumps(content))


@pytest.mark.parametrize("key", ["", "x", KEY.replace("MC4", "MC5")])
def test_what_is_no_key_is_refused_without_a_word_of_it(key: str) -> None:
    with pytest.raises(UsageError, match="MLBUTLER_SIGNING_KEY") as error:
        dsse.sign(b"x", key)
    assert "J1hsZ3v" not in error.value.message + error.value.remedy
    with pytest.raises(UsageError, match=r"verify\.signers: the key of 'ci'"):
        dsse.parse_envelope(dsse.sign(b"x", KEY)).signer({"ci": "AAAA"})


def test_a_statement_names_what_went_in_and_what_came_out_by_hash() -> None:
    found = json.loads(make_statement())
    assert (found["_type"], found["predicateType"]) == (
        "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1",
    )  # fmt: skip
    assert found["subject"] == [
        {"name": "model.txt", "digest": {"md5": "c" * 32, "sha256": "f" * 64}},
        {"name": "plots", "digest": {"dvcDirectoryMd5": "d" * 32}},
    ]
    definition = found["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "project": "", "stage": "train", "command": "python train.py", "params": {"params.yaml": {"rate": 0.1}},
    }  # fmt: skip
    assert definition["resolvedDependencies"] == [
        {"name": "source", "uri": "git+https://git.example.org/a/b", "digest": {"gitCommit": "e" * 40}},
        {"name": "data.csv", "digest": {"md5": "a" * 32}},
        {"name": "raw", "digest": {"dvcDirectoryMd5": "b" * 32}},
        {"name": "uv.lock", "digest": {"sha256": "0" * 64}},
    ]
    read = provenance.read_statement(make_statement())
    assert (read.commit, read.stage, read.reproduced) == ("e" * 40, "train", False)
    assert read.outputs == {"model.txt": "c" * 32, "plots": f"{'d' * 32}.dir"}


def test_what_a_build_made_names_the_commit_that_ran_and_the_one_that_holds_it() -> None:
    found = json.loads(make_statement(reproduced="9" * 40))["predicate"]
    assert found["buildDefinition"]["resolvedDependencies"][0]["digest"] == {"gitCommit": "9" * 40}
    assert found["runDetails"]["byproducts"] == [{"name": "results", "digest": {"gitCommit": "e" * 40}}]
    read = provenance.read_statement(make_statement(reproduced="9" * 40))
    assert (read.commit, read.reproduced) == ("e" * 40, True)


@pytest.mark.parametrize("out", [
    {"path": "model.txt", "md5": "c" * 32},  # of DVC 2, whose MD5 of a text is not that of its bytes
    {"path": "model.txt", "hash": "md5", "md5": "../x"},
    {"path": "model.txt"},
])  # fmt: skip
def test_what_has_no_md5_of_its_bytes_is_in_no_statement(out: dict[str, str]) -> None:
    with pytest.raises(Unreadable, match=r"'model\.txt' has no MD5"):
        make_statement(ENTRY | {"outs": [out]})


def test_whatever_is_in_a_note_is_read_or_refused() -> None:
    seeds = (make_statement(), make_statement(reproduced="9" * 40), dsse.sign(make_statement(), KEY).encode())
    for number in range(400):
        content = mutated(Random(number), seeds, "json")
        for read in (provenance.read_statement, dsse.parse_envelope):
            try:
                found = read(content)
            except Unreadable as error:
                assert error.problem
            else:
                if isinstance(found, provenance.Attested):
                    assert "\x1b" not in f"{found.stage}{found.builder}{found.when}"
                else:
                    assert found.signer({"other": OTHER}) == ""
