from __future__ import annotations

import pytest

from mlbutler.remotes.credentials import credentials

MINE = {"MLBUTLER_REMOTE_MY_STORE_USER": "ada", "MLBUTLER_REMOTE_MY_STORE_PASSWORD": "own"}
COMMON = {"MLBUTLER_REMOTE_USER": "bob", "MLBUTLER_REMOTE_PASSWORD": "common"}
TOKEN = {"DAGSHUB_USER_TOKEN": "t0ken"}
BASIC = {"auth": "basic"}


@pytest.mark.parametrize(
    ("url", "environ", "config", "expected"),
    [
        ("https://x.org/r", {}, {}, {}),
        ("https://x.org/r", MINE | COMMON, {}, BASIC | {"user": "ada", "password": "own"}),
        ("https://x.org/r", COMMON | TOKEN, {}, BASIC | {"user": "bob", "password": "common"}),
        ("https://x.org/r", {"MLBUTLER_REMOTE_PASSWORD": "p"}, {"user": "eve"}, BASIC | {"user": "eve", "password": "p"}),  # noqa: E501
        ("https://x.org/r", {"MLBUTLER_REMOTE_PASSWORD": "p"}, {}, {}),
        ("https://x.org/r", MINE, {"auth": "custom"}, {"password": "own"}),
        ("webdavs://x.org/r", COMMON, {}, {"user": "bob", "password": "common"}),
        ("ssh://x.org/r", COMMON, {}, {"user": "bob", "password": "common"}),
        ("ssh://eve@x.org/r", COMMON, {}, {"password": "common"}),
        ("https://dagshub.com/a/b.dvc", TOKEN, {}, BASIC | {"user": "t0ken", "password": "t0ken"}),
        ("https://eu.dagshub.com/a/b.dvc", TOKEN, {}, BASIC | {"user": "t0ken", "password": "t0ken"}),
        ("https://hub.corp/a/b.dvc", TOKEN | {"DAGSHUB_CLIENT_HOST": "https://hub.corp"}, {},
         BASIC | {"user": "t0ken", "password": "t0ken"}),
        ("https://x.org/dagshub.com", TOKEN, {}, {}),
        ("https://notdagshub.com/a", TOKEN, {}, {}),
        ("https://dagshub.com.x.org/a", TOKEN, {}, {}),
        ("https://dagshub.com@x.org/a", TOKEN, {}, {}),
        ("s3://dvc", TOKEN, {"endpointurl": "https://dagshub.com/a/b.s3"},
         {"access_key_id": "t0ken", "secret_access_key": "t0ken"}),
        ("s3://dvc", TOKEN, {}, {}),
        ("s3://dvc", {"MLBUTLER_REMOTE_MY_STORE_ACCESS_KEY_ID": "k", "MLBUTLER_REMOTE_MY_STORE_SECRET_ACCESS_KEY": "s"}, {},  # noqa: E501
         {"access_key_id": "k", "secret_access_key": "s"}),
        ("/local/path", MINE | COMMON | TOKEN, {}, {}),
    ],
)  # fmt: skip
def test_what_the_environment_supplies(
    url: str, environ: dict[str, str], config: dict[str, object], expected: dict[str, str]
) -> None:
    assert credentials("my-store", url, environ, config) == expected
