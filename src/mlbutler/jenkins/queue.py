"""What waits on a controller, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlbutler.jenkins.client import JenkinsClient

_TREE = "items[id,why,inQueueSince,task[url],actions[parameters[name,value]]]"


@dataclass(frozen=True)
class Waiting:
    """A build, or a step of a running one, that waits for an agent.

    Attributes:
        why: the controller's reason. since: seconds since the epoch. task: the address of the job, or of the build
            whose step it is.
    """

    id: int
    why: str
    since: float
    task: str
    parameters: Mapping[str, str]


def waiting(client: JenkinsClient) -> tuple[Waiting, ...]:
    """Return what waits, in the order in which it came.

    Raises:
        AccessDenied, OutsideError.
    """
    answer = client.send("GET", "queue/api/json", params={"tree": _TREE})
    assert answer is not None
    found = client.read(answer, lambda found: [_waiting(item) for item in found["items"]])
    return tuple(sorted(found, key=lambda one: one.id))


def _waiting(item: Mapping[str, Any]) -> Waiting:
    task = item.get("task") or {}
    return Waiting(
        int(item["id"]), " ".join(str(item.get("why") or "").split()), float(item.get("inQueueSince") or 0) / 1000,
        str(task.get("url") or ""), dict(parameters(item.get("actions") or ())),
    )  # fmt: skip


def parameters(actions: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield name and value of each parameter among a build's actions."""
    for action in actions:
        for one in action.get("parameters", ()) if isinstance(action, dict) else ():
            yield str(one.get("name", "")), str(one.get("value", ""))


def cancel(client: JenkinsClient, id: int) -> bool:
    """Take what waits out of the queue; return False where it waits no more.

    Raises:
        AccessDenied, OutsideError.
    """
    answer = client.send(
        "POST", "queue/cancelItem", params={"id": str(id)}, expected=(200, 204, 302), missing_is_none=True
    )
    return answer is not None
