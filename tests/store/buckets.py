"""Stores on DVC's own file systems, S3 buckets above all."""

from __future__ import annotations

from typing import Any

from mlbutler.store.other import OtherStore
from mlbutler.store.retry import RetryPolicy

KEYS = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}


def store(kind: str, config: dict[str, Any], root: str, name: str = "origin") -> OtherStore:
    def connect() -> tuple[Any, str]:
        from dvc.fs import get_fs_cls

        return get_fs_cls({}, scheme=kind)(**config), root

    return OtherStore(name, connect, RetryPolicy(attempts=1))


def s3(server: str, root: str, name: str = "origin") -> OtherStore:
    return store("s3", {"endpointurl": server, **KEYS}, root, name)
