"""Stores on DVC's own file systems, S3 buckets above all."""

from __future__ import annotations

from functools import cache
from typing import Any

from mlbutler.store.other import OtherStore
from mlbutler.store.retry import RetryPolicy
from mlbutler.store.s3.store import S3Store

KEYS = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}


def store(kind: str, config: dict[str, Any], root: str, name: str = "origin") -> OtherStore:
    def connect() -> tuple[Any, str]:
        from dvc.fs import get_fs_cls

        return get_fs_cls({}, scheme=kind)(**config), root

    return OtherStore(name, connect, RetryPolicy(attempts=1))


def s3(server: str, root: str, name: str = "origin") -> OtherStore:
    return store("s3", {"endpointurl": server, **KEYS}, root, name)


def bucket(server: str, root: str, *, attempts: int = 3, dvc: bool = False, **config: Any) -> S3Store:
    """Return a remote in a bucket as a project opens it; without `dvc`, DVC's own client fails."""

    def connect() -> tuple[Any, str]:
        assert dvc, "DVC's client is not wanted"
        return dvcs_client(server), root

    settings = {"endpointurl": server, **KEYS, **config}
    return S3Store("origin", root, settings, connect, policy=RetryPolicy(attempts=attempts, pause=0.01))


@cache
def dvcs_client(server: str) -> Any:
    """Return DVC's file system for a server: making it takes a second."""
    from dvc.fs import get_fs_cls

    return get_fs_cls({}, scheme="s3")(endpointurl=server, **KEYS)
