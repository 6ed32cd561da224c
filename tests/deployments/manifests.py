"""What Kubernetes asks of an object: its own schemas, and its standard for pods."""

from typing import Any

import kubernetes_validate

OLDEST = "1.30"
"""The oldest Kubernetes that the manifests are for: later ones keep what it knows."""


def assert_valid(thing: dict[str, Any]) -> None:
    """Against the schemas of Kubernetes, which know no field that is not in them."""
    kubernetes_validate.validate(thing, OLDEST, strict=True)


def assert_restricted(pod: dict[str, Any]) -> None:
    """The Pod Security Standard 'restricted', and limits, and nothing that looks like a setting.

    A Service `catdog-api` would give all pods of its namespace variables such as CATDOG_API_PORT.
    """
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(volume.keys() == {"name", "emptyDir"} for volume in pod.get("volumes", []))
    for container in pod["containers"]:
        allowed = container["securityContext"]
        assert allowed == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
