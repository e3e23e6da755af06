"""Conversion of objects to files: paths, bytes, streams, figures, tables, images, models.

Objects of other libraries are recognised by the module of their class, so that nothing is imported
that the program has not imported itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from runstore.artifacts.safetensors import write_safetensors
from runstore.errors import InvalidValueError, MissingExtraError
from runstore.model.artifacts import artifact_path, is_text_type, media_type_of, why_no_name
from runstore.model.display.json_text import json_text
from runstore.model.params.library_values import is_array_like
from runstore.model.values import clean_text
from runstore.storage.sqlite.paths import leads_nowhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Write = Callable[[Any, Path], None]

_COLOURED, _CHANNELS = 3, (1, 3, 4)  # dimensions of a picture with channels, and their number


def written_by(thing: Any, name: str) -> Write | None:
    """Return the function that writes an object to a file with this name, or None.

    Bytes, streams and paths are not handled here, because they are files already.

    Raises:
        InvalidValueError: The type is supported, but not with this suffix.
    """
    suffix = _suffix(name)
    if callable(getattr(type(thing), "save_model", None)) and suffix not in _PICKLED:
        return _booster
    for kind, writers in _KINDS:
        if not (_is_a(thing, kind) or (kind == "numpy.ndarray" and is_array_like(thing))):
            continue
        write = writers.get(suffix)
        if write is None:
            raise InvalidValueError(
                f"A value of type {type(thing).__name__} cannot be saved as {name!r}.",
                kept="Nothing was saved.",
                hint=f"Use one of these suffixes: {', '.join(writers)}.",
            )
        return write
    return _ANYTHING.get(suffix)


def _suffix(name: str) -> str:
    """Return the suffix that determines the format; `.pth.tar` belongs to PyTorch."""
    path = Path(name.lower())
    is_archive = path.suffix == ".tar" and path.with_suffix("").suffix in {".pt", ".pth"}
    return ".pth" if is_archive else path.suffix


def drawn(thing: Any, name: str) -> Any:
    """Return the figure of axes, a grid, drawn artists or pyplot; otherwise the object."""
    if _suffix(name) not in _FIGURE or "matplotlib" not in sys.modules:
        return thing
    if getattr(thing, "__name__", None) == "matplotlib.pyplot":
        return thing.gcf()
    first = thing
    if isinstance(thing, (list, tuple)) and thing:
        first = thing[0]
    elif str(getattr(thing, "dtype", None)) == "object" and thing.size:
        first = thing.flat[0]
    for one in ("figure", "figure_", "fig"):
        found = getattr(first, one, None)
        if _is_a(found, "matplotlib.Figure") and not _is_a(thing, "matplotlib.Figure"):
            return found
    return thing


def is_text(source: Any, name: str) -> bool:
    """Check whether a text is the content of a file, and not the path of one.

    It is if it has several lines, or words and another suffix than the name of a text file.
    """
    if not isinstance(source, str) or not is_text_type(media_type_of(name)):
        return False
    if "\n" in source:
        return True
    has_words = " " in source.strip() and Path(source).suffix != Path(name).suffix
    return has_words and leads_nowhere(source)


def _is_a(thing: Any, kind: str) -> bool:
    """Check whether a class with this full name, or from below that module, is among the bases."""
    module, _, name = kind.rpartition(".")
    return any(
        one.__name__ == name
        and (one.__module__ == module or one.__module__.startswith(f"{module}."))
        for one in type(thing).__mro__
    )


# Writers: each gets the object and the path, with the suffix that it is listed for.


def _imported(module: str, needs: str, package: str, instead: str) -> Any:
    """Import a library; if it is missing, the error names its package and another suffix."""
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(needs, package, instead) from error


def _missing(needs: str, package: str, instead: str) -> MissingExtraError:
    hint = f"Install it with: pip install {package}; or save as {instead}."
    return MissingExtraError(needs, kept="Nothing was saved.", hint=hint)


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
        needs = "Plotly requires kaleido to write an image."
        raise _missing(needs, "kaleido", ".html or .json") from error


def _pandas_csv(table: Any, path: Path) -> None:
    table.to_csv(path, index=not _is_counted(table), sep="\t" if path.suffix == ".tsv" else ",")


def _is_counted(table: Any) -> bool:
    """Check whether the index of a pandas table only counts its rows."""
    return type(table.index).__name__ == "RangeIndex" and table.index.name is None


def _pandas_parquet(table: Any, path: Path) -> None:
    _framed(table).to_parquet(path)


def _pandas_json(table: Any, path: Path) -> None:
    lines = path.suffix == ".jsonl"
    _framed(table).to_json(path, orient="records", lines=lines)


def _framed(table: Any) -> Any:
    """Return a table, converting a single column."""
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


def _array(values: Any) -> Any:
    """Convert any array to numpy, such as a tensor on a GPU."""
    import numpy as np

    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.to_dense() if values.is_sparse else values
        values = values.resolve_conj().resolve_neg()
        values = values.float() if "bfloat16" in str(values.dtype) else values
        values = values.numpy()
    return np.asarray(values)


def _numpy(values: Any, path: Path) -> None:
    import numpy as np

    np.save(path, _array(values), allow_pickle=False)


def _numpy_compressed(values: Any, path: Path) -> None:
    _npz({"arr_0": _array(values)}, path)


def _numpy_text(values: Any, path: Path) -> None:
    import numpy as np

    np.savetxt(path, _array(values), delimiter="\t" if path.suffix == ".tsv" else ",", fmt="%s")


def _numpy_image(values: Any, path: Path) -> None:
    """Write pixels: height x width, with channels in the last or the first dimension.

    Floats range from 0 to 1 if none is larger, else from 0 to 255, like integers.
    """
    import numpy as np

    needs = "Pillow is required to write an array as an image."
    image = _imported("PIL.Image", needs, "pillow", ".npy")
    pixels = _by_channel(_array(values))
    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels, posinf=255.0, neginf=0.0)
        pixels = pixels * 255 if pixels.max(initial=0) <= 1 else pixels
        pixels = pixels + 0.5
    elif pixels.dtype.kind == "b":
        pixels = pixels * 255
    image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def _by_channel(pixels: Any) -> Any:
    """Return height x width, or height x width x channels.

    Raises:
        InvalidValueError: The array is not a picture.
    """
    given = pixels.shape
    while pixels.ndim > _COLOURED and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim == _COLOURED and pixels.shape[2] not in _CHANNELS:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == _COLOURED and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    is_picture = pixels.ndim == _COLOURED - 1 or pixels.shape[2:] in {(3,), (4,)}
    if not is_picture or not pixels.size:
        raise InvalidValueError(
            f"An array of shape {' x '.join(map(str, given)) or 'one number'} is not a picture.",
            kept="Nothing was saved.",
            hint="Pass height x width, or height x width x 3.",
        )
    return pixels


def _torch(thing: Any, path: Path) -> None:
    torch = _imported("torch", "PyTorch is not installed.", "torch", ".pkl")
    if _is_a(thing, "torch.ScriptModule"):
        thing.save(str(path))
    else:
        torch.save(thing, path)


def _checkpoint(thing: Any, path: Path) -> None:
    """Write with PyTorch if the program uses it, else as a pickle."""
    (_torch if "torch" in sys.modules else _pickle)(thing, path)


def _booster(thing: Any, path: Path) -> None:
    """Write a model of XGBoost, LightGBM or CatBoost in its own format."""
    is_catboost = type(thing).__module__.startswith("catboost")
    thing.save_model(str(path), **({"format": path.suffix[1:]} if is_catboost else {}))


def _itself(thing: Any, path: Path) -> None:
    thing.save(str(path))


def _onnx(thing: Any, path: Path) -> None:
    path.write_bytes(thing.SerializeToString())


def _json(thing: Any, path: Path) -> None:
    text = json_text(thing) + "\n"
    # A lone surrogate has no UTF-8 encoding, but an escape.
    path.write_text(text if _is_encodable(text) else json.dumps(json.loads(text)), "utf-8")


def _is_encodable(text: str) -> bool:
    return clean_text(text) == text


def _yaml(thing: Any, path: Path) -> None:
    """Write YAML; without PyYAML, write JSON, which is valid YAML."""
    text = json_text(thing)
    try:
        import yaml
    except ImportError:
        _json(thing, path)
        return
    with path.open("w", encoding="utf-8") as file:
        yaml.safe_dump(json.loads(text), file, sort_keys=False, allow_unicode=_is_encodable(text))


def _markdown(thing: Any, path: Path) -> None:
    """Write a table of columns, of rows by name, or of names and values."""
    rows: list[Any] = json.loads(json_text(_records(thing)))
    if not rows or not all(isinstance(one, dict) for one in rows):
        raise InvalidValueError(
            f"A value of type {type(thing).__name__} cannot be saved as {path.suffix}.",
            kept="Nothing was saved.",
            hint="Pass a text, a table, a dict, or a list of dicts.",
        )
    columns = list(dict.fromkeys(name for one in rows for name in one))
    lines = [
        columns,
        ["---"] * len(columns),
        *([one.get(name, "") for name in columns] for one in rows),
    ]
    cells = [[str(one).replace("|", "\\|").replace("\n", " ") for one in line] for line in lines]
    text = "".join(f"| {' | '.join(line)} |\n" for line in cells)
    path.write_text(clean_text(text), encoding="utf-8")


def _records(thing: Any) -> list[Any]:
    """Return the rows of a table as mappings."""
    if hasattr(type(thing), "to_frame"):
        thing = thing.to_frame()
    for name in ("to_dicts", "to_pylist"):  # polars, pyarrow
        if hasattr(type(thing), name):
            return list(getattr(thing, name)())
    if _is_a(thing, "pandas.DataFrame"):
        return list((thing if _is_counted(thing) else thing.reset_index()).to_dict("records"))
    if isinstance(thing, (list, tuple)):
        return list(thing)
    plain = json.loads(json_text(thing))
    named = plain.items() if isinstance(plain, dict) else ()
    return [{"name": name, "value": value} for name, value in named]


def _pickle(thing: Any, path: Path) -> None:
    import pickle

    with path.open("wb") as file:
        pickle.dump(thing, file)


def _joblib(thing: Any, path: Path) -> None:
    joblib = _imported("joblib", "joblib is not installed.", "joblib", ".pkl")
    joblib.dump(thing, path)


def _npz(arrays: Any, path: Path) -> None:
    import numpy as np

    np.savez_compressed(path, **{str(name): _array(one) for name, one in arrays.items()})


_FIGURE = dict.fromkeys((".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp", ".eps", ".ps"), _figure)
_PIXELS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
# By the suffix alone: the program chose the format.
_ANYTHING: dict[str, Write] = {
    ".json": _json,
    ".pkl": _pickle,
    ".pickle": _pickle,
    ".joblib": _joblib,
    ".pt": _torch,
    ".pth": _torch,
    ".ckpt": _checkpoint,
    ".bin": _checkpoint,
    ".safetensors": write_safetensors,
    ".npz": _npz,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".md": _markdown,
    ".onnx": _onnx,
}
_PICKLED: dict[str, Write] = {".pkl": _pickle, ".pickle": _pickle, ".joblib": _joblib}
# A class may be exported by several modules of its package, so that the first part is enough.
_PANDAS: dict[str, Write] = {
    ".csv": _pandas_csv,
    ".tsv": _pandas_csv,
    ".parquet": _pandas_parquet,
    ".json": _pandas_json,
    ".jsonl": _pandas_json,
    ".md": _markdown,
    **_PICKLED,
}
_POLARS: dict[str, Write] = {
    ".csv": _polars_csv,
    ".tsv": _polars_csv,
    ".parquet": _polars_parquet,
    ".json": _polars_json,
    ".jsonl": _polars_json,
    ".md": _markdown,
}
_ARRAY: dict[str, Write] = {
    ".npy": _numpy,
    ".npz": _numpy_compressed,
    ".csv": _numpy_text,
    ".tsv": _numpy_text,
    ".txt": _numpy_text,
    ".json": _json,
    ".yaml": _yaml,
    **dict.fromkeys(_PIXELS, _numpy_image),
    **_PICKLED,
    **dict.fromkeys((".pt", ".pth"), _torch),
    **dict.fromkeys((".ckpt", ".bin"), _checkpoint),
}
_KINDS: tuple[tuple[str, dict[str, Write]], ...] = (
    ("matplotlib.Figure", {**_FIGURE, **_PICKLED}),
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
            ".md": _markdown,
            ".arrow": _arrow_feather,
        },
    ),
    ("PIL.Image", dict.fromkeys(_PIXELS, _itself)),
    ("altair.TopLevelMixin", dict.fromkeys((".html", ".json", ".png", ".svg", ".pdf"), _itself)),
    ("keras.Model", {".keras": _itself, ".h5": _itself, **_PICKLED}),
    ("torch.Tensor", _ARRAY),
    ("numpy.ndarray", _ARRAY),
)


def name_of_file(source: Any) -> str:
    """Return the default name of a file's artifact: its own relative path.

    Raises:
        InvalidValueError: It is not a file, or its path is not a valid artifact name.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidValueError(
            f"A value of type {type(source).__name__} was passed without a name.",
            kept="Nothing was saved.",
            hint="Pass a name first, such as run.save('model.pkl', model).",
        )
    path = Path(os.fspath(source))
    if path.is_absolute():
        with suppress(FileNotFoundError, ValueError):  # no working directory, or not below it
            path = path.relative_to(Path.cwd())
    try:
        return artifact_path(path.as_posix())
    except InvalidValueError as error:
        if why_no_name(path.name) is None:
            error.hint = f"Pass a name first: run.save({path.name!r}, {os.fspath(source)!r})"
        raise
