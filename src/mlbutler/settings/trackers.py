"""What can be set of the tools that list experiments."""

from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from mlbutler.settings.types import Checked, SettingsSection, about


def _check_folder(path: str) -> str:
    if not path or path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError("must be a folder inside the project, '.' for its root")
    return path


def _check_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("must be an address such as https://host/path, without user and password")
    return url.rstrip("/")


class TrackersSettings(SettingsSection, frozen=True):
    """Where results appear besides: in DagsHub's table of experiments, on an MLflow server."""

    git: Annotated[
        Annotated[str, Checked(_check_folder)] | None,
        about(
            "folder, such as '.', in which results commits have the metrics as metrics.csv and the params as "
            "params.yml, where DagsHub looks for them"
        ),
    ] = None
    mlflow: Annotated[
        Annotated[str, Checked(_check_address)] | None,
        about(
            "address of an MLflow server, such as https://dagshub.com/team/digits.mlflow: results become runs "
            "there, also those of experiments that a CI server runs"
        ),
    ] = None
    experiment: Annotated[str | None, about("the MLflow experiment's name; the repository's if unset")] = None
