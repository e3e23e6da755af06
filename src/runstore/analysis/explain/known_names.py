"""Names of well-known parameters, packages and files of code."""

from __future__ import annotations

import re

SEEDS = frozenset({"seed", "seeds", "rng", "random_state", "randomstate"})
# Parameters that move most results.
LIKELY = frozenset(
    {
        "lr", "learning_rate", "batch_size", "bs", "epochs", "n_epochs", "optimizer", "optim",
        "model", "arch", "architecture", "backbone", "dropout", "weight_decay", "wd", "momentum",
        "hidden", "hidden_size", "hidden_dim", "width", "depth", "layers", "num_layers",
        "n_layers", "loss", "activation", "scheduler", "warmup", "alpha", "c", "gamma",
        "max_depth", "n_estimators", "kernel", "augment", "augmentation", "precision", "fp16",
        "amp",
    }
)  # fmt: skip
# Parameters about the length of a run.
LENGTHS = frozenset(
    {
        "epochs", "n_epochs", "num_epochs", "num_train_epochs", "max_epochs", "steps", "n_steps",
        "num_steps", "max_steps", "total_steps", "iterations", "n_iter", "max_iter", "iters",
        "patience", "early_stopping", "max_time", "budget", "rounds", "num_boost_round",
    }
)  # fmt: skip
COSMETIC = frozenset(
    {
        # names and descriptions
        "run_name", "notes", "comment", "description", "tags", "project",
        # messages
        "verbose", "verbosity", "debug", "progress", "log_level", "loglevel", "log_every",
        "log_interval", "print_every",
        # places of results
        "output", "output_dir", "out_dir", "outdir", "save_dir", "log_dir", "checkpoint_dir",
        # speed
        "num_workers", "workers", "n_jobs",
    }
)  # fmt: skip
# The name of a parameter set, which may be a label, or a parameter like others.
NAME = "name"
# Packages that compute the numbers of most experiments.
COMPUTING = frozenset(
    {
        "torch", "torchvision", "torchaudio", "tensorflow", "keras", "jax", "jaxlib", "flax",
        "optax", "numpy", "scipy", "pandas", "polars", "numba", "cupy", "triton", "scikit-learn",
        "xgboost", "lightgbm", "catboost", "statsmodels", "transformers", "datasets",
        "tokenizers", "accelerate", "diffusers", "lightning", "pytorch-lightning", "timm",
    }
)  # fmt: skip
COMPUTING_PREFIXES = ("nvidia-", "cuda")
SOURCES = (
    ".py", ".pyx", ".ipynb", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".rs", ".go", ".jl", ".r",
    ".m", ".sh", ".f90", ".java", ".scala", ".js", ".ts", ".sql", ".lua",
)  # fmt: skip
SETTINGS = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".env", ".gin")

# Files with these endings are read by people; without any, they are build files and the like.
_PROSE = (".md", ".rst", ".gitignore", ".lock")

_ASIDE = re.compile(
    r"(^|/)(tests?|docs?)/|(^|/)test_[^/]*$|\.(md|rst|txt|gitignore)$", re.IGNORECASE
)


def is_seed(key: str) -> bool:
    """Return whether a parameter is a seed, by its name."""
    name = _last_name(key)
    return name in SEEDS or bool({"seed", "rng"} & set(name.split("_")))


def is_cosmetic(key: str) -> bool:
    """Return whether a parameter affects no result, by its name."""
    return _last_name(key) in COSMETIC


def is_likely(key: str) -> bool:
    """Return whether a parameter affects most results, by its name; so does `model.name`."""
    return _last_name(key.removesuffix(f".{NAME}")) in LIKELY


def is_length(key: str) -> bool:
    """Return whether a parameter is about the length of a run, by its name."""
    return _last_name(key) in LENGTHS


def _last_name(key: str) -> str:
    return re.split(r"[./\[]", key)[-1].rstrip("]").lower()


def is_computing(package: str) -> bool:
    """Return whether the numbers of an experiment may come from a package."""
    return package in COMPUTING or package.startswith(COMPUTING_PREFIXES)


def is_aside(path: str) -> bool:
    """Return whether a file is a test or a document."""
    return _ASIDE.search(path) is not None


def is_source(path: str) -> bool:
    """Return whether a file is code that a run may execute."""
    return path.lower().endswith(SOURCES) and not is_aside(path)


def is_data(path: str) -> bool:
    """Return whether a file is neither code, settings nor prose, by its ending."""
    name = path.lower().rpartition("/")[2]
    return "." in name[1:] and not name.endswith((*SOURCES, *SETTINGS, *_PROSE))


def is_settings(path: str) -> bool:
    """Return whether a file holds settings that a run may read."""
    return path.lower().endswith(SETTINGS) and not is_aside(path)
