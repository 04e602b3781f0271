"""What a cluster's administrator fills in: partitions by kind of job, the Kubernetes head, and the table of data sets."""

import re
from typing import Any

import pytest
import yaml

from replications.commands.data import sources
from replications.errors import InputError
from replications.paths import ROOT
from replications.registry.configuration import Configuration
from replications.registry.runs_yaml import Resources
from replications.registry.yaml_models import validate
from workflow.jobs import job_resources

SITE = Configuration(gpu_partition="gpu", gpu_qos="long", gpu_constraint="a100&nvlink")
SITE_KEYS = {"slurm_partition", "qos", "constraint"}


def test_jobs_on_gpus_go_to_their_own_partition() -> None:
    resources = job_resources(Resources(gpus=1), SITE)
    assert {key: resources[key] for key in SITE_KEYS} == {"slurm_partition": "gpu", "qos": "long", "constraint": "a100&nvlink"}
    assert job_resources(Resources(gpus=16, nodes=2), SITE)["slurm_partition"] == "gpu"


def test_jobs_without_a_gpu_follow_the_profile() -> None:
    assert not SITE_KEYS & set(job_resources(Resources(), SITE))


def test_what_is_not_set_is_not_asked_for() -> None:
    assert not SITE_KEYS & set(job_resources(Resources(gpus=1), Configuration()))


@pytest.mark.parametrize("key", ["gpu_partition", "gpu_qos", "gpu_constraint"])
def test_a_name_cannot_bring_a_command(key: str) -> None:
    with pytest.raises(InputError, match=key):
        validate(Configuration, {key: "gpu; rm x"}, "config.yaml")


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_a_shipped_profile_bears_slow_file_systems_and_lost_jobs_and_sets_no_experiment(name: str) -> None:
    shipped = yaml.safe_load((ROOT / "workflow" / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))
    assert shipped["latency-wait"] >= 60, "the outputs of a job appear late on a shared file system"
    assert shipped["retries"] > 0
    assert shipped["keep-going"]
    assert shipped["rerun-incomplete"]
    assert not {"config", "configfile", "configfiles"} & set(shipped)


def manifest() -> dict[str, dict[str, Any]]:
    """The objects of the Kubernetes manifest by kind, each once."""
    objects = list(yaml.safe_load_all((ROOT / "workflow" / "kubernetes" / "head.yaml").read_text(encoding="utf-8")))
    assert len({item["kind"] for item in objects}) == len(objects)
    return {item["kind"]: item for item in objects}


def profile() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "workflow" / "profiles" / "kubernetes" / "config.yaml").read_text(encoding="utf-8")))


def test_every_object_has_a_version_and_a_name() -> None:
    assert set(manifest()) == {"ServiceAccount", "Role", "RoleBinding", "PersistentVolumeClaim", "Job"}
    for item in manifest().values():
        assert item["apiVersion"]
        assert item["metadata"]["name"]


def test_the_head_runs_as_the_account_that_may_start_pods() -> None:
    objects = manifest()
    account = objects["ServiceAccount"]["metadata"]["name"]
    assert objects["Job"]["spec"]["template"]["spec"]["serviceAccountName"] == account
    assert objects["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": account}]
    assert objects["RoleBinding"]["roleRef"]["name"] == objects["Role"]["metadata"]["name"]
    allowed = {resource: rule["verbs"] for rule in objects["Role"]["rules"] for resource in rule["resources"]}
    assert {"create", "get", "delete"} <= set(allowed["pods"])
    assert "*" not in {verb for verbs in allowed.values() for verb in verbs} | set(allowed)
    assert "list" not in allowed["secrets"], "other secrets of the namespace are not the head's"


def test_head_and_profile_mount_one_claim_at_one_path() -> None:
    objects = manifest()
    pod = objects["Job"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    claims = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]}
    mounted = [f"{claims[mount['name']]}:{mount['mountPath']}" for mount in container["volumeMounts"]]
    assert mounted == profile()["kubernetes-persistent-volumes"]
    assert set(claims.values()) == {objects["PersistentVolumeClaim"]["metadata"]["name"]}
    assert objects["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert container["image"] == profile()["container-image"]
    assert container["workingDir"] == profile()["default-storage-prefix"]


def test_a_token_comes_from_a_secret_and_never_from_the_file() -> None:
    (container,) = manifest()["Job"]["spec"]["template"]["spec"]["containers"]
    tokens = [item for item in container["env"] if "TOKEN" in item["name"]]
    assert tokens
    assert all("secretKeyRef" in item["valueFrom"] and "value" not in item for item in tokens)


def test_data_that_nothing_can_fetch_has_instructions() -> None:
    """In the guide, or in the declaration of a paper's own, so that a new paper is one new folder."""
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8").partition("### Data sets")[2].partition("\n## ")[0]
    rows = {name: line for line in text.splitlines() if line.startswith("| `") for name in re.findall(r"`([^`]+)`", line.split("|")[1])}
    for source in sources().values():
        if not (source.build or source.hub or source.address):
            assert "built, below" in rows.get(source.name, "built, below"), source.name
            assert source.name in rows or source.note, source.name
        elif source.name in rows:
            assert "fetched" in rows[source.name], source.name
    assert {"linux", "coco", "pascal", "sbu"} <= set(re.findall(r"`([a-z0-9-]+)`", text.partition("is built into the folder")[2]))
