"""Where a result comes from, as an in-toto statement with SLSA's predicate: made, and read.

A statement is made from a stage's entry in dvc.lock, and says that a build's run of its command made that, or that its
command was run again, in a clean clone, and made that too. A statement that is read may be anybody's.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlbutler.frozen import frozen
from mlbutler.live_lines import clean
from mlbutler.parsing import Unreadable, parse_json, reading

STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
VERIFIED, REPRODUCED = "urn:mlbutler:verified-stage:v1", "urn:mlbutler:reproduced-stage:v1"
_MD5 = re.compile(r"[0-9a-f]{32}")
_DIRECTORY = ".dir"
_DIRECTORY_DIGEST = "dvcDirectoryMd5"
"""Of the list of its files that DVC keeps: no digest of a file."""
_RESULTS = "results"
_LONGEST = 200
_MOST_SUBJECTS = 10_000


@frozen
class Attested:
    """What a statement says. `outputs`: path from the folder of dvc.yaml -> hash as dvc.lock has it.

    `reproduced`: a build made it, and `commit` is the one that holds it; else it was verified at `commit`.
    """

    reproduced: bool
    commit: str
    project: str
    stage: str
    outputs: Mapping[str, str]
    builder: str
    when: str


def statement(
    entry: Mapping[str, Any],
    *,
    commit: str,
    repository: str,
    project: str,
    stage: str,
    sha256: Mapping[str, str],
    locks: Mapping[str, str],
    run: Mapping[str, Any],
    reproduced: str = "",
) -> bytes:
    """Return the statement of one stage.

    Args:
        entry: of dvc.lock at the commit, with paths from the folder of dvc.yaml. repository: its address, '' where that
            is not known. project: the folder of dvc.yaml from the repository's root. sha256: of outputs that are files.
        locks: lists of packages at the commit -> their SHA-256. run: how it was run: `builder`, `versions`,
            `isolation`, `host`, `platform`, `build`, `when`. reproduced: the commit whose code a build ran to make it,
            '' where it was verified.
    """
    subjects = [_resource_descriptor(out, sha256.get(str(out.get("path")), "")) for out in _lock_items(entry, "outs")]
    source: dict[str, Any] = {"name": "source", "digest": {"gitCommit": reproduced or commit}}
    if repository:
        source["uri"] = f"git+{repository}"
    materials = [source, *(_resource_descriptor(dep, "") for dep in _lock_items(entry, "deps"))]
    materials += [{"name": name, "digest": {"sha256": digest}} for name, digest in locks.items()]
    made = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": REPRODUCED if reproduced else VERIFIED,
                "externalParameters": {
                    "project": project, "stage": stage, "command": entry.get("cmd", ""),
                    "params": entry.get("params", {}),
                },
                "internalParameters": {name: run[name] for name in ("isolation", "host", "platform")},
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": {"id": run["builder"], "version": run["versions"]},
                "metadata": {"invocationId": run["build"], "finishedOn": run["when"]},
                **({"byproducts": [{"name": _RESULTS, "digest": {"gitCommit": commit}}]} if reproduced else {}),
            },
        },
    }  # fmt: skip
    return json.dumps(made, sort_keys=True, default=str).encode()


def read_statement(payload: bytes) -> Attested:
    """Return what a statement says.

    Raises:
        Unreadable: it is no statement about a stage.
    """
    with reading("statement"):
        return _parse_statement(parse_json(payload))


def _parse_statement(found: Any) -> Attested:
    if (found["_type"], found["predicateType"]) != (STATEMENT, PREDICATE):
        raise Unreadable("not a statement of provenance")
    definition, details = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    if definition["buildType"] not in (VERIFIED, REPRODUCED):
        raise Unreadable("not a statement of a stage")
    reproduced = definition["buildType"] == REPRODUCED
    given = definition["externalParameters"]
    listed = details["byproducts"] if reproduced else definition["resolvedDependencies"]
    (commit,) = [one["digest"]["gitCommit"] for one in listed if "gitCommit" in one["digest"]]
    outputs = {str(one["name"]): _hash(one["digest"]) for one in found["subject"][:_MOST_SUBJECTS]}
    builder, when = details["builder"]["id"], details["metadata"]["finishedOn"]
    return Attested(
        reproduced=reproduced, commit=_line(commit), project=_line(given["project"]), stage=_line(given["stage"]),
        outputs=outputs, builder=_line(builder), when=_line(when),
    )  # fmt: skip


def fingerprint(entry: Mapping[str, Any]) -> str:
    """Return the fingerprint of an entry of dvc.lock, whether it was read or is about to be written."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True, default=str).encode()).hexdigest()


def sha256_of(path: Path, md5: str) -> str:
    """Return a file's SHA-256; '' where the path is none, or its content is not that of the MD5."""
    both = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    try:
        with open(path, "rb", opener=_no_pipe) as file:  # Path.open has no opener
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            while part := file.read(1 << 20):
                for one in both:
                    one.update(part)
    except OSError:
        return ""
    return both[1].hexdigest() if both[0].hexdigest() == md5 else ""


def _no_pipe(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _line(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(text)
    return clean(text.replace("\n", " "))[:_LONGEST]


def _resource_descriptor(item: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    value = str(item.get("md5", ""))
    plain = value.removesuffix(_DIRECTORY)
    if not _MD5.fullmatch(plain) or item.get("hash") != "md5":  # an earlier DVC's is not of the file's very bytes
        raise Unreadable(f"'{str(item.get('path'))[:80]}' has no MD5 of DVC 3 in dvc.lock")
    digest = {_DIRECTORY_DIGEST if value.endswith(_DIRECTORY) else "md5": plain}
    return {"name": str(item["path"]), "digest": digest | ({"sha256": sha256} if sha256 else {})}


def _hash(digest: Mapping[str, Any]) -> str:
    if _DIRECTORY_DIGEST in digest:
        return f"{digest[_DIRECTORY_DIGEST]}{_DIRECTORY}"
    return str(digest["md5"])


def _lock_items(entry: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    found: Iterable[Any] = entry.get(name) or ()
    for item in found:
        if not isinstance(item, Mapping):
            raise Unreadable(f"an entry of dvc.lock has no list of {name}")
        yield item
