"""A home folder in which DuckDB finds its SQLite extension, which it would download elsewhere."""

from pathlib import Path


def duckdb_home(folder):
    """Make the home folder; return the environment variables that lead there."""
    import duckdb
    import duckdb_extension_sqlite_scanner as extension

    ((version, platform),) = duckdb.sql(
        "SELECT v.library_version, p.platform FROM pragma_version() v, pragma_platform() p"
    ).fetchall()
    place = folder / ".duckdb" / "extensions" / version / platform
    place.mkdir(parents=True)
    name = "sqlite_scanner.duckdb_extension"
    carried = Path(extension.__file__).parent / "extensions" / version / name
    (place / name).symlink_to(carried)
    return {"HOME": str(folder), "USERPROFILE": str(folder)}
