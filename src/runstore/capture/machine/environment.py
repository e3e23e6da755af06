"""The software around a run: Python, installed distributions, the batch scheduler's ids."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from runstore.errors import suppressed
from runstore.model.facts import Facts, FactValue

# Fact by variable. Source: the manuals of sbatch 24.05, qsub of PBS 2022.1 and LSF 10.1.
_SCHEDULER = {
    "SLURM_JOB_ID": "scheduler.job",
    "SLURM_ARRAY_JOB_ID": "scheduler.array_job",
    "SLURM_ARRAY_TASK_ID": "scheduler.array_index",
    "SLURM_JOB_NAME": "scheduler.name",
    "SLURM_JOB_PARTITION": "scheduler.queue",
    "SLURM_JOB_NODELIST": "scheduler.nodes",
    "SLURM_PROCID": "scheduler.rank",
    "SLURM_RESTART_COUNT": "scheduler.restarts",
    "SLURM_CLUSTER_NAME": "scheduler.cluster",
    "PBS_JOBID": "scheduler.job",
    "PBS_ARRAY_ID": "scheduler.array_job",
    "PBS_ARRAY_INDEX": "scheduler.array_index",
    "PBS_ARRAYID": "scheduler.array_index",
    "PBS_JOBNAME": "scheduler.name",
    "PBS_QUEUE": "scheduler.queue",
    "LSB_JOBID": "scheduler.job",
    "LSB_JOBINDEX": "scheduler.array_index",
    "LSB_JOBNAME": "scheduler.name",
    "LSB_QUEUE": "scheduler.queue",
}
# A distribution whose name and version are too short for a token, even if its name sounds like
# one: loading all patterns of secrets for `tokenizers` takes longer than reading the list.
_PART = (
    r"(?:[A-Za-z]{1,40}|[A-Za-z0-9]{1,14})"  # for names; with digits, a long one may be a token
)
_PLAIN = re.compile(
    rf"{_PART}(?:[._-]{_PART}){{0,9}}==v?[0-9][a-z0-9.!]{{0,19}}(?:\+[a-z0-9.]{{1,9}})?"
)
_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_LONGEST_NAME = 253
_KINDS = {"SLURM": "slurm", "PBS": "pbs", "LSB": "lsf"}


def scheduler_facts() -> Facts:
    """Return `scheduler.kind`, `.job`, `.array_index` …; nothing outside a batch job."""
    values: dict[str, FactValue] = {}
    for variable, name in _SCHEDULER.items():
        value = os.environ.get(variable)
        if value:
            values.setdefault("scheduler.kind", _KINDS[variable.partition("_")[0]])
            values.setdefault(name, value)
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        values = {**_pod_facts(), **values}
    return Facts(values=values)


def _pod_facts() -> dict[str, FactValue]:
    """Return the facts of a pod; names that the pod's author passes in variables come first.

    Source: "Kubernetes documentation", 1.31: pods, service accounts, indexed jobs.
    """
    found = {
        "scheduler.kind": "kubernetes",
        "scheduler.pod": os.environ.get("POD_NAME") or os.environ.get("HOSTNAME"),
        "scheduler.namespace": os.environ.get("POD_NAMESPACE") or _own_namespace(),
        "scheduler.nodes": os.environ.get("NODE_NAME"),
        "scheduler.array_index": os.environ.get("JOB_COMPLETION_INDEX"),
    }
    return {name: value for name, value in found.items() if value}


def _own_namespace() -> str:
    with suppressed(OSError), open(_NAMESPACE_FILE, encoding="utf-8") as file:  # noqa: PTH123 - light
        return file.read(_LONGEST_NAME).strip()
    return ""


def environment_facts() -> Facts:
    """Return Python's details, and the document `packages`: `name==version`, one per line."""
    from runstore.capture.machine.packages import distributions, python_values

    return facts_of(python_values(), *distributions())


def facts_of(values: Mapping[str, str], packages: list[str], broken: list[str]) -> Facts:
    """Return facts reported by an interpreter, masked; see `runstore.capture.machine.packages`."""
    text = "".join(f"{_masked(one)}\n" for one in packages)
    return Facts(
        values={**values, "python.package_count": len(packages)},
        documents={"packages": text},
        unknown={"packages.rest": "; ".join(broken[:20])} if broken else {},
    )


def _masked(package: str) -> str:
    from runstore.capture.secrets import mask_text

    name, sign, origin = package.partition(" @ ")
    masked = name if _PLAIN.fullmatch(name) else mask_text(name)
    return f"{masked}{sign}{mask_text(origin)}" if sign else masked
