"""What tests of `runstore scrub` share: a store with a secret in every place, and its places."""

import json

from places import place
from runstore import Store
from runstore.location import server_at

SECRET = "Zq81mm" + "Pl9w20xx77"
TOKEN = "gh" + "p_" + "a1B2c3D4" * 5


def places_of(folder, secret=SECRET):
    """Return every file that has a part of the secret, in whatever form."""
    forms = {
        code
        for form in (secret, json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3])
        for code in (form.encode(), form.encode("utf-16-le"))
    }
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    )


def bytes_of(folder):
    """Return all that is kept in a folder, or, on a server, in rows and on this machine."""
    url, folders = place(folder), [folder]
    kept = []
    if isinstance(url, str):
        kept += _values_at(url)
        folders.append(server_at(url).folder)
    files = [path for one in folders for path in one.rglob("*") if path.is_file()]
    return b"\n".join([*kept, *(path.read_bytes() for path in files)])


def _values_at(url):
    import psycopg

    tables = (
        "SELECT oid::regclass::text FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    with psycopg.connect(url) as connection:
        for (table,) in connection.execute(tables).fetchall():
            for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - our own name
                yield from (one if isinstance(one, bytes) else str(one).encode() for one in row)


def filled(folder, secret=SECRET):
    """Fill a store with a secret in every place that takes texts."""
    with Store.open(folder) as store:
        run = store.start(
            "fit", params={"password": secret, "deep": [1, {"x": secret}]},
            notes=f"note {secret}", capture=False,
        )  # fmt: skip
        run.tags[f"key {secret.splitlines()[0]}"] = "1"
        run.tags["page"] = f"see {secret}"
        run.tags["page"] = "gone"
        run.edit(notes="none")
        run.keep_output()
        print(f"printed {secret}")
        run.save("log.txt", f"first\nhas {secret}\nlast\n".encode())
        run.save("model.bin", b"\0\1" + secret.encode() + bytes(100))
        run.save("wide.txt", secret.encode("utf-16-le"))
        run.save("clean.bin", b"\0" * 10)
        run.use(f"https://x.org/{secret}", secret)
        run.finish("error", error=f"it is {secret}", traceback=f"at {secret}")
        store.start(f"exp {secret.splitlines()[0]}", capture=False).finish()
        trashed = store.start("trash", notes=secret, capture=False)
        trashed.finish()
        store.delete(trashed.reference)
        list(store.grep("printed"))  # fills the index
    return folder
