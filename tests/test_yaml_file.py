"""YAML is read as DVC reads it."""

from __future__ import annotations

import pytest
from dvc.utils.serialize import parse_yaml

from mlbutler.comparison.documents import read_document
from mlbutler.comparison.snapshot import Source
from mlbutler.yaml_file import parse

WORDS = (
    "1e-3", "1e5", "1.5e3", ".5", "1.", "+1", "-2", "1_000", "010", "0o10", "0x1F", "0b11", "1:30",
    "12:30:45.5", "2020-01-01", ".inf", "-.inf", ".nan", "NaN", "yes", "no", "on", "Off", "y", "true", "True",
    "TRUE", "null", "~", "1e", "e5", "'1e-3'", "2.0e-05", "-.5e-3", "08", "1__0",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_what_dvc_takes_it_for(word: str) -> None:
    text = f"a: {word}\n{word}: b\n"
    assert repr(parse(text)) == repr(parse_yaml(text, "params.yaml"))


def test_a_metric_in_exponent_form_is_a_number() -> None:
    assert read_document("metrics.yaml", Source(b"loss: 1e-3\n")).values == {"loss": 0.001}


def test_nothing_but_plain_data_is_made() -> None:
    document = read_document("m.yaml", Source(b"a: !!python/object/apply:os.getcwd []\n"))
    assert "not valid YAML" in document.problem
