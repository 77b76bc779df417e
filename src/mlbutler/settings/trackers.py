"""What can be set of the tools that list experiments."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from mlbutler.settings.types import Section


class TrackersSettings(Section):
    """Where results appear besides: in DagsHub's table of experiments, on an MLflow server."""

    git: str | None = Field(
        None,
        description="folder, such as '.', in which results commits have the metrics as metrics.csv and the params as "
        "params.yml, where DagsHub looks for them",
    )
    mlflow: str | None = Field(
        None,
        description="address of an MLflow server, such as https://dagshub.com/team/digits.mlflow: results become runs "
        "there, also those of experiments that a CI server runs",
    )
    experiment: str | None = Field(None, description="the MLflow experiment's name; the repository's if unset")

    @field_validator("git")
    @classmethod
    def _is_inside(cls, path: str | None) -> str | None:
        if path is not None and (not path or path.startswith("/") or ".." in PurePosixPath(path).parts):
            raise ValueError("must be a folder inside the project, '.' for its root")
        return path

    @field_validator("mlflow")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("must be an address such as https://host/path, without user and password")
        return url.rstrip("/")
