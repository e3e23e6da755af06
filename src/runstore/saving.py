"""How things become files: paths, bytes, streams, figures, tables, images, models.

What is not the standard library's is told by the module that its class comes from, so that
nothing is imported that the program has not imported itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from runstore.errors import InvalidValueError, MissingExtraError
from runstore.model.artifacts import artifact_path

Write = Callable[[Any, Path], None]


def written_by(thing: Any, name: str) -> Write | None:
    """Return what writes this thing to a file of this name; None when nothing does.

    Bytes, streams and paths are not meant here: they are files already.

    Raises:
        InvalidValueError: The kind of thing is known, but not with this suffix.
    """
    suffix = Path(name).suffix.lower()
    for kind, writers in _KINDS:
        if not _is_a(thing, kind):
            continue
        write = writers.get(suffix)
        if write is None:
            raise InvalidValueError(
                f"A {type(thing).__name__} cannot be saved as {name!r}.",
                kept="Nothing was saved.",
                hint=f"Use one of these suffixes: {', '.join(writers)}.",
            )
        return write
    return _ANYTHING.get(suffix)


def _is_a(thing: Any, kind: str) -> bool:
    """Tell whether a class of this full name, or a part of a module, is among its bases."""
    module, _, name = kind.rpartition(".")
    return any(
        one.__name__ == name
        and (one.__module__ == module or one.__module__.startswith(f"{module}."))
        for one in type(thing).__mro__
    )


# Writers: each gets the thing and the path, whose suffix is the one it is listed for.


def _figure(figure: Any, path: Path) -> None:
    figure.savefig(path, format=path.suffix[1:], bbox_inches="tight")


def _plotly_html(figure: Any, path: Path) -> None:
    figure.write_html(path, include_plotlyjs=True)


def _plotly_json(figure: Any, path: Path) -> None:
    path.write_text(figure.to_json(), encoding="utf-8")


def _plotly_image(figure: Any, path: Path) -> None:
    try:
        figure.write_image(path, format=path.suffix[1:])
    except ValueError as error:
        if "kaleido" not in str(error):
            raise
        raise MissingExtraError(
            "Plotly needs kaleido to draw an image.",
            kept="Nothing was saved.",
            hint="Install it with: pip install kaleido; or save as .html or .json.",
        ) from error


def _pandas_csv(table: Any, path: Path) -> None:
    table.to_csv(path, index=not _is_counted(table), sep="\t" if path.suffix == ".tsv" else ",")


def _is_counted(table: Any) -> bool:
    """Tell whether the index of a pandas table only counts its rows."""
    return type(table.index).__name__ == "RangeIndex" and table.index.name is None


def _pandas_parquet(table: Any, path: Path) -> None:
    _framed(table).to_parquet(path)


def _pandas_json(table: Any, path: Path) -> None:
    lines = path.suffix == ".jsonl"
    _framed(table).to_json(path, orient="records", lines=lines)


def _framed(table: Any) -> Any:
    """Return a table, also for a column alone."""
    return table.to_frame() if hasattr(table, "to_frame") else table


def _polars_csv(table: Any, path: Path) -> None:
    table.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")


def _polars_parquet(table: Any, path: Path) -> None:
    table.write_parquet(path)


def _polars_json(table: Any, path: Path) -> None:
    (table.write_ndjson if path.suffix == ".jsonl" else table.write_json)(path)


def _arrow_parquet(table: Any, path: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(table, path)


def _arrow_csv(table: Any, path: Path) -> None:
    from pyarrow import csv

    csv.write_csv(table, path)


def _arrow_feather(table: Any, path: Path) -> None:
    from pyarrow import feather

    feather.write_feather(table, path)


def _image(image: Any, path: Path) -> None:
    image.save(path)


def _numpy(values: Any, path: Path) -> None:
    import numpy as np

    np.save(path, values, allow_pickle=False)


def _numpy_text(values: Any, path: Path) -> None:
    import numpy as np

    np.savetxt(path, values, delimiter="\t" if path.suffix == ".tsv" else ",", fmt="%s")


def _numpy_image(values: Any, path: Path) -> None:
    """Write pixels, height x width or height x width x channels: bytes, or floats from 0 to 1."""
    import numpy as np

    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            "Pillow is needed to write an array as an image.",
            kept="Nothing was saved.",
            hint="Install it with: pip install pillow; or save as .npy.",
        ) from error
    pixels = np.asarray(values)
    if pixels.dtype.kind == "f":
        pixels = np.clip(np.nan_to_num(pixels) * 255 + 0.5, 0, 255)
    Image.fromarray(np.squeeze(pixels).astype(np.uint8)).save(path)


def _torch(thing: Any, path: Path) -> None:
    import torch

    torch.save(thing, path)


def _json(thing: Any, path: Path) -> None:
    try:
        text = json.dumps(thing, indent=2, ensure_ascii=False, allow_nan=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(
            f"It cannot be said in JSON: {error}.",
            kept="Nothing was saved.",
            hint="Save it as .pkl, or as text of your own.",
        ) from error
    path.write_text(text + "\n", encoding="utf-8")


def _pickle(thing: Any, path: Path) -> None:
    import pickle

    with path.open("wb") as file:
        pickle.dump(thing, file)


def _joblib(thing: Any, path: Path) -> None:
    try:
        import joblib
    except ImportError as error:
        raise MissingExtraError(
            "joblib is not installed.",
            kept="Nothing was saved.",
            hint="Install it with: pip install joblib; or save as .pkl.",
        ) from error
    joblib.dump(thing, path)


def _npz(arrays: Any, path: Path) -> None:
    import numpy as np

    np.savez_compressed(path, **arrays)


# By the suffix alone: the program says what it wants.
_ANYTHING: dict[str, Write] = {
    ".json": _json,
    ".pkl": _pickle,
    ".pickle": _pickle,
    ".joblib": _joblib,
    ".pt": _torch,
    ".pth": _torch,
    ".npz": _npz,
}
_PICKLED: dict[str, Write] = {".pkl": _pickle, ".pickle": _pickle, ".joblib": _joblib}
# A class may be had from several modules of its package, so the first part is enough.
_PANDAS: dict[str, Write] = {
    ".csv": _pandas_csv,
    ".tsv": _pandas_csv,
    ".parquet": _pandas_parquet,
    ".json": _pandas_json,
    ".jsonl": _pandas_json,
    **_PICKLED,
}
_POLARS: dict[str, Write] = {
    ".csv": _polars_csv,
    ".tsv": _polars_csv,
    ".parquet": _polars_parquet,
    ".json": _polars_json,
    ".jsonl": _polars_json,
}
_KINDS: tuple[tuple[str, dict[str, Write]], ...] = (
    (
        "matplotlib.Figure",
        {
            **dict.fromkeys((".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"), _figure),
            **_PICKLED,
        },
    ),
    (
        "plotly.BaseFigure",
        {
            ".html": _plotly_html,
            ".json": _plotly_json,
            **dict.fromkeys((".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"), _plotly_image),
        },
    ),
    ("pandas.DataFrame", _PANDAS),
    ("pandas.Series", _PANDAS),
    ("polars.DataFrame", _POLARS),
    ("polars.Series", _POLARS),
    (
        "pyarrow.Table",
        {
            ".parquet": _arrow_parquet,
            ".csv": _arrow_csv,
            ".feather": _arrow_feather,
            ".arrow": _arrow_feather,
        },
    ),
    (
        "PIL.Image",
        dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"), _image),
    ),
    (
        "numpy.ndarray",
        {
            ".npy": _numpy,
            ".csv": _numpy_text,
            ".tsv": _numpy_text,
            **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp"), _numpy_image),
            **_PICKLED,
            ".pt": _torch,
            ".joblib": _joblib,
        },
    ),
)


def name_of_file(source: Any) -> str:
    """Return the name that a file is saved under when none is given: its own relative path.

    Raises:
        InvalidValueError: It is no file, or its path is no name of an artifact.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidValueError(
            f"A {type(source).__name__} needs a name to be saved under.",
            kept="Nothing was saved.",
            hint="Write for example: run.save('model.pkl', model).",
        )
    path = Path(os.fspath(source))
    if path.is_absolute():
        with suppress(FileNotFoundError, ValueError):  # no working directory, or not below it
            path = path.relative_to(Path.cwd())
    return artifact_path(path.as_posix())
