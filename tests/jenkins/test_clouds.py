"""The manifests and the configuration that docs/clouds.md gives, against the fields that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.scaffold.kubernetes_fields import faults

PAGE = (Path(__file__).parents[2] / "docs" / "clouds.md").read_text(encoding="utf-8")
BLOCKS: list[Any] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
STRING = {"type": "string", "minLength": 1}
BOOLEAN = {"type": "boolean"}


def closed_schema(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": required.split(), "additionalProperties": False,
    }  # fmt: skip


# github.com/jenkinsci/ec2-plugin, July 2026: src/main/java/hudson/plugins/ec2/EC2Cloud.java, SlaveTemplate.java,
# SpotConfiguration.java, UnixData.java (constructors and setters that are bound).
TEMPLATE = closed_schema(
    "ami amiType type labelString maxTotalUses",
    **dict.fromkeys(
        ("ami", "description", "type", "labelString", "remoteFS", "remoteAdmin", "initScript", "numExecutors",
         "idleTerminationMinutes", "subnetId", "securityGroups", "zone", "javaPath", "userData"), STRING,
    ),
    **dict.fromkeys(("deleteRootOnTermination", "metadataTokensRequired", "stopOnTerminate"), BOOLEAN),
    mode={"enum": ["NORMAL", "EXCLUSIVE"]},
    hostKeyVerificationStrategy={"enum": ["CHECK_NEW_HARD", "CHECK_NEW_SOFT", "ACCEPT_NEW", "OFF"]},
    metadataHopsLimit={"type": "integer", "minimum": 1},
    maxTotalUses={"const": -1},  # EC2RetentionStrategy.java: 0, where it is not set, ends the machine after a build
    spotConfig=closed_schema("useBidPrice", useBidPrice=BOOLEAN, fallbackToOndemand=BOOLEAN, spotMaxBidPrice=STRING),
    amiType=closed_schema("unixData", unixData=closed_schema("sshPort", sshPort=STRING, rootCommandPrefix=STRING)),
    nodeProperties={"type": "array", "items": closed_schema("envVars", envVars=closed_schema(
        "env", env={"type": "array", "items": closed_schema("key value", key=STRING, value=STRING)},
    ))},
)  # fmt: skip
CLOUD = closed_schema(
    "name region sshKeysCredentialsId templates", name=STRING, region=STRING, sshKeysCredentialsId=STRING,
    useInstanceProfileForCredentials=BOOLEAN, templates={"type": "array", "items": TEMPLATE, "minItems": 1},
)  # fmt: skip
SCHEMA = closed_schema("jenkins", jenkins=closed_schema("clouds", clouds={
    "type": "array", "items": closed_schema("amazonEC2", amazonEC2=CLOUD), "minItems": 1,
}))  # fmt: skip


def test_kubernetes_has_a_field_for_all_of_it() -> None:
    manifests = [block for block in BLOCKS if "kind" in block]
    assert [block["kind"] for block in manifests] == ["PersistentVolumeClaim", "Pod"]
    assert [fault for manifest in manifests for fault in faults(manifest)] == []


def test_the_ec2_plugin_takes_all_of_it() -> None:
    (config,) = [block for block in BLOCKS if "jenkins" in block]
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(config)] == []
