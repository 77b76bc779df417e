"""Where a result comes from, as an in-toto statement with SLSA's predicate: made, and read.

A statement is made from a stage's entry in dvc.lock, and says that its command was run again and made that. A statement
that is read may be anybody's.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlbutler.frozen import frozen
from mlbutler.live_lines import clean
from mlbutler.parsing import Unreadable, parse_json, reading

STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:mlbutler:verified-stage:v1"
_MD5 = re.compile(r"[0-9a-f]{32}")
_DIRECTORY = ".dir"
_DIRECTORY_DIGEST = "dvcDirectoryMd5"
"""Of the list of its files that DVC keeps: no digest of a file."""
_LONGEST = 200
_MOST_SUBJECTS = 10_000


@frozen
class Attested:
    """What a statement says. `outputs`: path from the project's root -> hash as dvc.lock has it."""

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
) -> bytes:
    """Return the statement of one stage.

    Args:
        entry: of dvc.lock at the commit. repository: its address, '' where that is not known. project: the folder of
            dvc.yaml from the repository's root. sha256: of outputs that are files. locks: lists of packages at the
            commit -> their SHA-256. run: how it was run: `builder`, `versions`, `isolation`, `host`, `platform`,
            `build`, `when`.
    """
    subjects = [_named(out, sha256.get(str(out.get("path")), "")) for out in _listed(entry, "outs")]
    source: dict[str, Any] = {"name": "source", "digest": {"gitCommit": commit}}
    if repository:
        source["uri"] = f"git+{repository}"
    materials = [source, *(_named(dep, "") for dep in _listed(entry, "deps"))]
    materials += [{"name": name, "digest": {"sha256": digest}} for name, digest in locks.items()]
    made = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
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
            },
        },
    }  # fmt: skip
    return json.dumps(made, sort_keys=True, default=str).encode()


def read(payload: bytes) -> Attested:
    """Return what a statement says.

    Raises:
        Unreadable: it is none of a verified stage.
    """
    with reading("statement"):
        return _read(parse_json(payload))


def _read(found: Any) -> Attested:
    if (found["_type"], found["predicateType"]) != (STATEMENT, PREDICATE):
        raise Unreadable("not a statement of provenance")
    definition, details = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    if definition["buildType"] != BUILD_TYPE:
        raise Unreadable("not a statement of a verified stage")
    given = definition["externalParameters"]
    (commit,) = [
        one["digest"]["gitCommit"] for one in definition["resolvedDependencies"] if "gitCommit" in one["digest"]
    ]
    outputs = {str(one["name"]): _hash(one["digest"]) for one in found["subject"][:_MOST_SUBJECTS]}
    builder, when = details["builder"]["id"], details["metadata"]["finishedOn"]
    return Attested(
        commit=_line(commit), project=_line(given["project"]), stage=_line(given["stage"]), outputs=outputs,
        builder=_line(builder), when=_line(when),
    )  # fmt: skip


def _line(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(text)
    return clean(text.replace("\n", " "))[:_LONGEST]


def _named(item: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    value = str(item.get("md5", ""))
    plain = value.removesuffix(_DIRECTORY)
    if not _MD5.fullmatch(plain):
        raise Unreadable(f"'{str(item.get('path'))[:80]}' has no MD5 in dvc.lock")
    digest = {_DIRECTORY_DIGEST if value.endswith(_DIRECTORY) else "md5": plain}
    return {"name": str(item["path"]), "digest": digest | ({"sha256": sha256} if sha256 else {})}


def _hash(digest: Mapping[str, Any]) -> str:
    if _DIRECTORY_DIGEST in digest:
        return f"{digest[_DIRECTORY_DIGEST]}{_DIRECTORY}"
    return str(digest["md5"])


def _listed(entry: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    found: Iterable[Any] = entry.get(name) or ()
    for item in found:
        if not isinstance(item, Mapping):
            raise Unreadable(f"an entry of dvc.lock has no list of {name}")
        yield item
