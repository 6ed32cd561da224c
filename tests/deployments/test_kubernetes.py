"""The manifests of `deployments/kubernetes`: valid, unprivileged, and at one with each other."""

import re
from typing import Any

import prefect
import pytest
import yaml
from manifests import assert_restricted, assert_valid
from sites import ROOT

FOLDER = ROOT / "deployments" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
THINGS: dict[tuple[str, str], dict[str, Any]] = {
    (thing["kind"], thing["metadata"]["name"]): thing
    for name in KUSTOMIZATION["resources"]
    for thing in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
}
PODS = {
    name: thing["spec"]["template"]
    for (kind, name), thing in THINGS.items()
    if kind in ("Deployment", "Job")
}
"""The templates of all pods."""
PAGE = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")


def container(pod: str) -> dict[str, Any]:
    (only,) = PODS[pod]["spec"]["containers"]
    return dict(only)


def asked(pod: str, kind: str) -> set[tuple[str, str | None]]:
    """The Secrets or ConfigMaps that a pod names, each with the key if it asks for one."""
    given = container(pod)
    keyed = [each.get("valueFrom", {}).get(f"{kind}KeyRef") for each in given.get("env", [])]
    whole = [each.get(f"{kind}Ref") for each in given.get("envFrom", [])]
    return {(each["name"], each.get("key")) for each in (*keyed, *whole) if each}


def test_every_manifest_is_applied() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


@pytest.mark.parametrize(
    "thing", THINGS.values(), ids=lambda t: f"{t['kind']} {t['metadata']['name']}"
)
def test_kubernetes_knows_every_field(thing: dict[str, Any]) -> None:
    assert_valid(thing)
    assert thing["kind"] == "Namespace" or thing["metadata"]["namespace"] == "catdog"


@pytest.mark.parametrize("pod", PODS)
def test_no_pod_is_privileged_or_without_limits(pod: str) -> None:
    assert_restricted(PODS[pod]["spec"])


@pytest.mark.parametrize("pod", ["server", "worker", "api"])
def test_what_serves_says_when_it_is_ready_and_alive(pod: str) -> None:
    ports = {port["name"] for port in container(pod)["ports"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container(pod)[probe]["httpGet"]["port"] in ports


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "Deployment"])
def test_what_selects_pods_finds_those_of_its_name(kind: str) -> None:
    chosen = {name: thing for (its, name), thing in THINGS.items() if its == kind}
    assert chosen
    for name, thing in chosen.items():
        selector = thing["spec"]["selector"]
        labels = selector if kind == "Service" else selector["matchLabels"]
        found = [pod for pod in PODS if labels.items() <= PODS[pod]["metadata"]["labels"].items()]
        assert found == [name]


def test_the_api_survives_a_drained_node() -> None:
    replicas = THINGS["Deployment", "api"]["spec"]["replicas"]
    assert replicas - THINGS["PodDisruptionBudget", "api"]["spec"]["maxUnavailable"] >= 2


@pytest.mark.parametrize("pod", ["api", "deploy"])
def test_all_that_use_the_store_use_the_same_remote(pod: str) -> None:
    assert ("catdog", None) in asked(pod, "configMap")
    assert "CATDOG_REMOTE" in THINGS["ConfigMap", "catdog"]["data"]


def test_the_secrets_that_are_asked_for_are_those_that_the_page_makes() -> None:
    made = {
        (name, key)
        for name, literals in re.findall(r"create secret generic (\w+)((?: \\\n|[^\n])*)", PAGE)
        for key in re.findall(r"--from-literal=(\w+)=", literals)
    }
    wanted = set().union(*(asked(pod, "secret") for pod in PODS))
    assert {name for name, _ in made} == {name for name, _ in wanted}
    assert {pair for pair in wanted if pair[1]} <= made
    assert "Secret" not in {kind for kind, _ in THINGS}, "none belongs in a repository"


def test_a_run_uses_the_image_of_the_others() -> None:
    (ours,) = [each for each in KUSTOMIZATION["images"] if each["name"] == "catdog"]
    (run,) = [each["value"] for each in container("deploy")["env"] if each["name"] == "RUN_IMAGE"]
    assert run == f"{ours['newName']}:{ours['newTag']}"


def test_the_worker_is_of_the_version_that_catdog_uses() -> None:
    assert container("worker")["image"].startswith(f"prefecthq/prefect:{prefect.__version__}-")


def test_the_worker_makes_jobs_that_name_the_secret_of_the_login() -> None:
    given = {each["name"]: each.get("value") for each in container("worker")["env"]}
    prefix = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET"
    assert (given[f"{prefix}_NAME"], given[f"{prefix}_KEY"]) in asked("worker", "secret")
