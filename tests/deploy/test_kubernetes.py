"""The Kubernetes manifests, as kustomize makes them, agree with the programs and with each other, and pods are
restricted."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from timer_gateway.health import PROBE_PATHS
from timer_protocol import __version__
from timer_protocol.settings import CLIENT_VARIABLES, GATEWAY_VARIABLES, SERVER_VARIABLES
from timer_server.loop.turn import _LEAVE_LIMIT_MS, _SETTLE_LIMIT_MS

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy" / "kubernetes"
DOCUMENT = (ROOT / "docs" / "deployment.md").read_text()
COMMANDS = {*tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"], "sleep"}
SETTINGS = {variable.name: variable for variable in (*SERVER_VARIABLES, *CLIENT_VARIABLES, *GATEWAY_VARIABLES)}
OF_PROGRAM = {
    "server": {variable.name for variable in SERVER_VARIABLES},
    "gateway": {variable.name for variable in (*CLIENT_VARIABLES, *GATEWAY_VARIABLES)},
}
KINDS = ["sqlite", "postgresql", "sqlite-with-gateway", "postgresql-with-gateway"]
EXAMPLE = {"POD_NAME": "timer-server-0", "POD_NAMESPACE": "timers"}

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

Manifest = dict[str, Any]


def built(folder: Path) -> list[Manifest]:
    """What kustomize makes of a folder. `label --local` asks no cluster, and gives JSON."""
    made = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, timeout=30, check=False)
    assert made.returncode == 0, made.stderr.decode()
    as_json = subprocess.run(
        ["kubectl", "label", "--local", "-f", "-", "-o", "json", "made-by=test"],
        input=made.stdout,
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout.decode()
    decoder, found = json.JSONDecoder(), []
    while as_json := as_json.lstrip():
        manifest, end = decoder.raw_decode(as_json)
        found.append(manifest)
        as_json = as_json[end:]
    return found


@pytest.fixture(scope="module", params=KINDS)
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    base, _, is_with_gateway = request.param.partition("-")
    if not is_with_gateway:
        return built(MANIFESTS / "overlays" / base)
    mine = tmp_path_factory.mktemp("kubernetes")
    shutil.copytree(MANIFESTS, mine / "kubernetes")
    (shown,) = re.findall(r"```yaml\n(# kustomization\.yaml.*?)```", DOCUMENT, re.DOTALL)
    (mine / "kustomization.yaml").write_text(shown.replace("overlays/sqlite", f"overlays/{base}"))
    return built(mine)


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def workloads(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest, Manifest]]:
    """Each workload with its pod and its container."""
    for workload in of_kind(manifests, "StatefulSet", "Deployment"):
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        yield workload, pod, container


def names(manifests: list[Manifest], kind: str) -> set[str]:
    return {manifest["metadata"]["name"] for manifest in of_kind(manifests, kind)}


def ports_of(container: Manifest) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def test_variables_are_settings_with_values_that_are_allowed(manifests: list[Manifest]) -> None:
    for _, pod, container in workloads(manifests):
        assert pod["enableServiceLinks"] is False, "Kubernetes' own variables would begin as settings do"
        defined: list[str] = []
        for variable in container["env"]:
            name, value = variable["name"], variable.get("value", "")
            for referred in re.findall(r"\$\((\w+)\)", value):
                assert referred in defined, f"{name}: a variable is replaced only by one that stands before"
                value = value.replace(f"$({referred})", EXAMPLE[referred])
            defined.append(name)
            if name not in EXAMPLE:
                assert name in OF_PROGRAM[container["name"]]
                assert not value or SETTINGS[name].kind.parse(value) is not None
        assert len(defined) == len(set(defined))
    for variables in of_kind(manifests, "ConfigMap"):
        for name, value in variables["data"].items():
            assert SETTINGS[name].kind.parse(value)


def test_ports_are_those_at_which_the_programs_listen(manifests: list[Manifest]) -> None:
    binds = {
        "TIMER_BIND": "commands",
        "TIMER_EVENTS_BIND": "events",
        "TIMER_METRICS_BIND": "metrics",
        "TIMER_PEER_BIND": "peers",
        "TIMER_GATEWAY_BIND": "http",
    }
    open_ports: dict[str, set[int]] = {}
    for workload, _, container in workloads(manifests):
        bound = {
            binds[variable["name"]]: int(variable["value"].rpartition(":")[2])
            for variable in container["env"]
            if variable["name"] in binds
        }
        assert ports_of(container) == bound
        open_ports[workload["metadata"]["name"]] = set(bound.values())
    for policy in of_kind(manifests, "NetworkPolicy"):
        let_in = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert let_in == open_ports[policy["metadata"]["name"]]
    assert names(manifests, "NetworkPolicy") == open_ports.keys()


def test_services_and_addresses_lead_to_pods(manifests: list[Manifest]) -> None:
    pods = {workload["metadata"]["name"]: workload for workload, _, _ in workloads(manifests)}
    for service in of_kind(manifests, "Service"):
        name = service["spec"]["selector"]["app.kubernetes.io/name"]
        (container,) = pods[name]["spec"]["template"]["spec"]["containers"]
        for port in service["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in {*ports_of(container), *ports_of(container).values()}
    (server,) = of_kind(manifests, "StatefulSet")
    governing = server["spec"]["serviceName"]
    (service,) = (one for one in of_kind(manifests, "Service") if one["metadata"]["name"] == governing)
    assert service["spec"]["clusterIP"] == "None"
    (clients,) = of_kind(manifests, "ConfigMap")
    pod_names = [f"timer-server-{number}" for number in range(server["spec"]["replicas"])]
    for name, port in (("TIMER_SERVER", 8888), ("TIMER_EVENTS", 8889)):
        assert clients["data"][name].split(",") == [f"tcp://{pod}.{governing}:{port}" for pod in pod_names]


def test_selectors_select_the_pods_of_their_name(manifests: list[Manifest]) -> None:
    labels = {w["metadata"]["name"]: w["spec"]["template"]["metadata"]["labels"] for w, _, _ in workloads(manifests)}
    for one in of_kind(manifests, "StatefulSet", "Deployment", "PodDisruptionBudget", "NetworkPolicy"):
        selector = one["spec"].get("selector") or one["spec"]["podSelector"]
        name = one["metadata"]["name"]
        assert selector["matchLabels"].items() <= labels[name].items()
    assert labels.get("timer-gateway", {"timer-client": "true"})["timer-client"] == "true"


def test_pods_are_restricted(manifests: list[Manifest]) -> None:
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for _, pod, container in workloads(manifests):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container["ports"])
        assert all(volume.keys() & {"emptyDir", "secret"} for volume in pod["volumes"])


def test_a_server_goes_first_where_the_processors_are_short(manifests: list[Manifest]) -> None:
    requested = {workload["metadata"]["name"]: pod["resources"] for workload, _, pod in workloads(manifests)}
    assert all("cpu" not in resources["limits"] for resources in requested.values()), "it would make timers late"
    weights = {name: int(resources["requests"]["cpu"].removesuffix("m")) for name, resources in requested.items()}
    assert weights["timer-server"] >= 4 * weights.get("timer-gateway", 0)


def test_what_is_referred_to_is_there_or_is_told_to_be_made(manifests: list[Manifest]) -> None:
    for workload, pod, container in workloads(manifests):
        volumes = {volume["name"] for volume in pod["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        sources = [variable["valueFrom"] for variable in container["env"] if "valueFrom" in variable]
        secrets |= {source["secretKeyRef"]["name"] for source in sources if "secretKeyRef" in source}
        for secret in secrets:
            assert f"create secret generic {secret} " in DOCUMENT, secret
        for source in container.get("envFrom", []):
            assert source["configMapRef"]["name"] in names(manifests, "ConfigMap")
        assert container["image"].rpartition("/")[2] == f"{workload['metadata']['name']}:{__version__}"


def test_probes_ask_what_there_is(manifests: list[Manifest]) -> None:
    for _, _, container in workloads(manifests):
        probes = [container[kind] for kind in ("startupProbe", "readinessProbe", "livenessProbe")]
        for asked in (*probes, container.get("lifecycle", {}).get("preStop", {})):
            if "exec" in asked:
                assert asked["exec"]["command"][0] in COMMANDS
            if "httpGet" in asked:
                assert asked["httpGet"]["path"] in PROBE_PATHS
                assert asked["httpGet"]["port"] in ports_of(container)
            if "tcpSocket" in asked:
                assert asked["tcpSocket"]["port"] in ports_of(container)


def test_a_server_has_time_to_open_and_to_end(manifests: list[Manifest]) -> None:
    (server,) = of_kind(manifests, "StatefulSet")
    pod = server["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] * 1_000 > _LEAVE_LIMIT_MS + _SETTLE_LIMIT_MS
    probe = pod["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 600
    claims = server["spec"].get("volumeClaimTemplates", [])
    assert [claim["spec"]["accessModes"] for claim in claims] in ([], [["ReadWriteOncePod"]])
    assert server["spec"]["replicas"] == 1 or not claims, "a store in SQLite has one server"
