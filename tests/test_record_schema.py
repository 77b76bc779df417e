from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from mlbutler.cli import main
from mlbutler.record_file import dumps
from mlbutler.record_schema import schema, text
from tests.report.conftest import record  # noqa: F401 - a fixture

PAGE = Path(__file__).parents[1] / "docs" / "record.schema.json"


def test_the_published_schema_is_this_versions() -> None:
    assert PAGE.read_text(encoding="utf-8") == text(), "python -m mlbutler report --schema > docs/record.schema.json"


def test_a_records_document_fits_and_a_changed_one_does_not(record: object) -> None:  # noqa: F811
    validator = jsonschema.Draft202012Validator(schema())
    jsonschema.Draft202012Validator.check_schema(schema())
    document = json.loads(dumps(record))  # type: ignore[arg-type]
    assert list(validator.iter_errors(document)) == []
    document["plan"]["stages"][0]["state"] = "rotten"
    (error,) = validator.iter_errors(document)
    assert "plan" in error.json_path


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", "--schema"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["properties"]["schema"]["const"] == 1
