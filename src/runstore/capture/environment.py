"""The software around a run: Python, installed distributions, the batch scheduler's ids."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

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
_KINDS = {"SLURM": "slurm", "PBS": "pbs", "LSB": "lsf"}


def scheduler_facts() -> Facts:
    """Return `scheduler.kind`, `.job`, `.array_index` …; nothing outside of a batch job."""
    values: dict[str, FactValue] = {}
    for variable, name in _SCHEDULER.items():
        value = os.environ.get(variable)
        if value:
            values.setdefault("scheduler.kind", _KINDS[variable.partition("_")[0]])
            values.setdefault(name, value)
    return Facts(values=values)


def environment_facts() -> Facts:
    """Return Python's details, and the document `packages`: `name==version`, one per line."""
    import platform

    values: dict[str, FactValue] = {
        "python.version": platform.python_version(),
        "python.implementation": platform.python_implementation(),
        "python.executable": sys.executable or "",
        "python.prefix": sys.prefix,
    }
    packages = sorted(set(_distributions()), key=str.lower)
    values["python.package_count"] = len(packages)
    return Facts(values=values, documents={"packages": "".join(f"{one}\n" for one in packages)})


def _distributions() -> Iterator[str]:
    """Yield what can be imported now; the first of a name on the path is the one that counts."""
    from importlib import metadata

    seen = set()
    for distribution in metadata.distributions():
        # Folders of a half removed package have no name.
        name = distribution.metadata["Name"]
        if not name or name.lower() in seen:
            continue
        seen.add(name.lower())
        commit = _commit_of(distribution)
        yield f"{name}=={distribution.version}" + (f" @ {commit}" if commit else "")


def _commit_of(distribution: object) -> str:
    """Return where a package installed from a repository or a folder came from, masked.

    Source: PEP 610, direct_url.json.
    """
    import json

    from runstore.capture.secrets import mask_text

    text = getattr(distribution, "read_text", lambda _: None)("direct_url.json")
    if not text:
        return ""
    try:
        told = json.loads(text)
        url = mask_text(str(told["url"]))
        commit = told.get("vcs_info", {}).get("commit_id")
    except (ValueError, KeyError, AttributeError, TypeError):
        return ""
    if commit:
        return f"{url}@{commit}"
    return f"{url} (editable)" if told.get("dir_info", {}).get("editable") else url
