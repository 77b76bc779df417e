"""The pod of the generated Jenkinsfile, against the fields of Kubernetes' own API."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import yaml

from mlbutler.scaffold.jenkinsfile import _pod
from mlbutler.scaffold.options import ScaffoldOptions
from tests.scaffold.kubernetes_fields import faults


def pod(**options: Any) -> Any:
    """Return the pod of a build of a branch, with the container that the Kubernetes plugin adds to it."""
    text = _pod(ScaffoldOptions(agent="kubernetes", image="registry.example.org/words:1", **options), "/mirror")
    made = yaml.safe_load(text.replace("${env.CHANGE_FORK != null}", "false"))
    (agent,) = [container for container in made["spec"]["containers"] if container["name"] == "jnlp"]
    agent["image"] = "jenkins/inbound-agent"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "words"}, **made}


@pytest.mark.parametrize(("gpu", "shm"), list(itertools.product([False, True], ["", "8g", "512m"])))
def test_kubernetes_has_a_field_for_all_of_it(gpu: bool, shm: str) -> None:
    made = pod(gpu=gpu, shm_size=shm)
    assert faults(made) == []
    mounted = {mount["name"] for container in made["spec"]["containers"] for mount in container.get("volumeMounts", ())}
    assert mounted == {volume["name"] for volume in made["spec"]["volumes"]}


def test_what_does_not_belong_is_found() -> None:
    made = pod(gpu=True)
    container = made["spec"]["containers"][0]
    container["resources"]["limit"] = container["resources"].pop("limits")
    container["securityContext"]["runAsUser"] = "1000"
    del container["name"]
    assert faults(made) == [
        "Pod.spec.containers[0].securityContext.runAsUser: '1000' is no int",
        "Pod.spec.containers[0].resources: there is no field 'limit'",
        "Pod.spec.containers[0]: 'name' is missing",
    ]
