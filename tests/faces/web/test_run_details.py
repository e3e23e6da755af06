"""The API behind the view of one run: parameters, edits, neighbours, output, files."""

import io
import json
from urllib.parse import quote

import pytest

from runstore import Store
from runstore.storage.files.output import LETTERS
from web_client import client_of, served_at

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63"
    "f8cfc0f01f00050001ff89993d1d0000000049454e44ae426082"
)
SCRIPT = "<script>parent.document.title = 'scripted'</script>"
PARAMS = {
    "lr": 1.0,
    "layers": 2**63,
    "name": "<b>bold</b>",
    "on": True,
    "nothing": None,
    "model": {"kind": "cnn", "sizes": [1, 2]},
    "a.b": float("nan"),
}


def filled(folder):
    with Store.open(folder) as store:
        store.start("mnist", capture=False).finish()
        run = store.start("mnist", params=PARAMS, capture=False)
        with store.start("mnist", parent=run, capture=False):
            pass
        run.save("picture.png", PNG)
        run.save("not a picture.png", SCRIPT.encode())
        run.save("page.html", SCRIPT.encode())
        run.save("drawing.svg", f"<svg xmlns='http://www.w3.org/2000/svg'>{SCRIPT}</svg>".encode())
        run.save("deep/er/table.csv", b"a,b\n1,x\n2,\xff\n")
        run.save("plain.json", b'{"big": 12345678901234567890, "one": 1.0, "list": [1, 2]}')
        run.save("broken.json", b'{"big": ')
        run.save("deep.json", b"[" * 100_000)
        run.save("model.pt", bytes(range(256)) * 4)
        run.save("notes.md", b"# Title\n<img src=x onerror=alert(1)>")
        run.log_text("sample", "hello", step=0)
        run.log_text("sample", "again", step=5)
        run.finish()
        store.edit(run.uid, notes="first")
        store.edit(run.uid, notes="second")
        folder = store.path / "spool"
        folder.mkdir(exist_ok=True, mode=0o700)
        lines = (
            b"1700000000.%06d %s line %d\n"
            % (n, LETTERS["stderr" if n % 10 == 9 else "stdout"], n)
            for n in range(3000)
        )
        (folder / f"{run.uid}.{0:020d}.output").write_bytes(b"".join(lines))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "store"
    filled(folder)
    with Store.open(folder, create=False) as opened:
        yield opened


@pytest.fixture
def client(store):
    with client_of(served_at(store)) as made:
        yield made


def asked(client, path, **query):
    response = client.get(f"/api/v1/runs/mnist%232/{path}", params=query)
    assert response.status_code == 200, response.text
    return response


def test_parameters_are_rows_with_types_and_exact_texts(client):
    (one,) = asked(client, "params").json()["sets"]

    rows = {row["key"]: (row["type"], row["text"], row["depth"]) for row in one["rows"]}
    assert rows == {
        "lr": ("float", "1.0", 0),
        "layers": ("int", str(2**63), 0),
        "name": ("text", "<b>bold</b>", 0),
        "on": ("bool", "True", 0),
        "nothing": ("none", "None", 0),
        "model": ("mapping", "", 0),
        "model.kind": ("text", "cnn", 1),
        "model.sizes": ("list", "", 1),
        "model.sizes[0]": ("int", "1", 2),
        "model.sizes[1]": ("int", "2", 2),
        '"a.b"': ("float", "nan", 0),
    }


def test_a_run_names_the_runs_around_it(client):
    around = asked(client, "around").json()

    assert around["previous"]["run_number"] == 1
    assert around["next"]["run_number"] == 3
    assert around["parent"] is None
    assert [one["run_number"] for one in around["children"]] == [3]
    assert around["child_count"] == 1


def test_edits_are_listed_with_old_and_new_values(client):
    events = asked(client, "events").json()["events"]

    assert [(one["field"], one["old"], one["new"]) for one in events] == [
        ("notes", None, "first"),
        ("notes", "first", "second"),
    ]


def test_output_is_read_by_places_of_lines(client):
    window = asked(client, "output", start=1234, lines=2).json()
    last = asked(client, "output", start=-1, streams="stderr").json()

    assert [(one["number"], one["text"]) for one in window["lines"]] == [
        (1235, "line 1234"),
        (1236, "line 1235"),
    ]
    assert [one["number"] for one in last["lines"]] == [3000]
    assert last["counts"] == {"stdout": 2700, "stderr": 300, "logging": 0}
    assert last["is_counted"]


def test_all_of_the_output_is_searched_not_a_part_of_it(client):
    wanted = {"text": "LINE 29.9", "regexp": 1, "ignore_case": 1}
    hits, after = [], 0
    while after is not None:  # a request is short, and the next one continues
        found = asked(client, "output/hits", **wanted, after=after).json()
        hits += found["hits"]
        after = found["after"]

    assert [one["number"] for one in hits] == [n + 1 for n in range(2909, 3000, 10)]
    assert hits[0]["spans"] == [[0, 9]]


def test_a_wrong_expression_is_an_error_of_the_client(client):
    response = client.get("/api/v1/runs/mnist%232/output/hits", params={"text": "(", "regexp": 1})

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "filter"


def test_output_is_a_file_to_save(client):
    response = asked(client, "output/text", streams="stdout")

    assert response.text.splitlines()[:2] == ["line 0", "line 1"]
    assert len(response.text.splitlines()) == 2700
    assert response.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["output", "output/text", "output/hits"])
def test_unknown_streams_are_refused(client, path):
    query = {"streams": "stdin", "text": "line"} if "hits" in path else {"streams": "stdin"}

    response = client.get(f"/api/v1/runs/mnist%232/{path}", params=query)

    assert response.status_code == 400
    assert "no stream 'stdin'" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("picture.png", "image/png"),
        ("not a picture.png", "text/plain; charset=utf-8"),
        ("page.html", "text/html; charset=utf-8"),
        ("drawing.svg", "image/svg+xml"),
        ("plain.json", "text/plain; charset=utf-8"),
        ("model.pt", "application/octet-stream"),
    ],
)
def test_contents_are_sent_as_what_they_are_and_sandboxed(client, path, media_type):
    response = asked(client, f"artifacts/{quote(path)}")

    assert response.headers["content-type"] == media_type
    policy = response.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    is_saved = media_type == "application/octet-stream"
    assert response.headers.get("content-disposition", "").startswith("attachment") == is_saved


def test_contents_are_saved_under_their_name(client):
    response = asked(client, f"artifacts/{quote('not a picture.png')}", save=1)

    assert response.headers["content-disposition"] == (
        "attachment; filename=\"not a picture.png\"; filename*=UTF-8''not%20a%20picture.png"
    )
    assert response.content == SCRIPT.encode()


def test_a_range_of_contents_can_be_asked_for(client):
    path = "/api/v1/runs/mnist%232/artifacts/model.pt"

    middle = client.get(path, headers={"Range": "bytes=10-12"})
    end = client.get(path, headers={"Range": "bytes=-2"})
    beyond = client.get(path, headers={"Range": "bytes=99999-"})
    odd = client.get(path, headers={"Range": "lines=1-2"})

    assert (middle.status_code, middle.content) == (206, bytes([10, 11, 12]))
    assert middle.headers["content-range"] == "bytes 10-12/1024"
    assert (end.status_code, end.content) == (206, bytes([254, 255]))
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */1024")
    assert (odd.status_code, len(odd.content)) == (200, 1024)


def test_contents_that_a_browser_has_are_not_sent_again(client):
    path = "/api/v1/runs/mnist%232/artifacts/model.pt"
    first = client.get(path)

    head = client.head(path)

    etag = first.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "1024", b"")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("picture.png", "image"),
        ("not a picture.png", "text"),
        ("page.html", "html"),
        ("drawing.svg", "svg"),
        ("notes.md", "markdown"),
        ("model.pt", "none"),
        ("broken.json", "text"),
        ("deep.json", "text"),
        ("plain.json", "json"),
        ("deep/er/table.csv", "table"),
    ],
)
def test_a_look_shows_what_contents_are(client, path, kind):
    look = asked(client, f"looks/{quote(path)}").json()

    assert look["kind"] == kind
    assert bool(look["why"]) == (kind == "none")


def test_a_look_at_json_keeps_numbers_as_they_are_written(client):
    look = asked(client, "looks/plain.json").json()

    assert look["text"] == (
        '{\n  "big": 12345678901234567890,\n  "one": 1.0,\n  "list": [1, 2]\n}'
    )


def test_a_look_at_a_table_shows_its_rows(client):
    look = asked(client, "looks/deep/er/table.csv").json()

    assert (look["columns"], look["rows"]) == (["a", "b"], [["1", "x"], ["2", "\ufffd"]])
    assert (look["row_count"], look["column_count"], look["is_cut"]) == (2, 2, False)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_look_at_a_parquet_file_shows_its_rows(tmp_path, is_damaged):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    body = io.BytesIO()
    parquet.write_table(pa.table({"x": [1.5, None], "big": [2**60, 1]}), body)
    contents = body.getvalue()
    if is_damaged:
        contents = contents[:4] + bytes(40) + contents[-8:]
    with Store.open(tmp_path / "store") as store:
        with store.start("mnist", capture=False) as run:
            run.save("table.parquet", contents)
        with client_of(served_at(store)) as client:
            look = client.get("/api/v1/runs/latest/looks/table.parquet").json()

    if is_damaged:
        assert (look["kind"], "could not be read" in look["why"]) == ("none", True)
    else:
        assert look["rows"] == [[1.5, str(2**60)], [None, 1]]
        assert (look["columns"], look["row_count"]) == (["x", "big"], 2)


def test_media_are_listed_by_step(client):
    (series,) = asked(client, "media").json()["media"]

    assert (series["kind"], series["key"]) == ("text", "sample")
    assert [one["step"] for one in series["steps"]] == [0, 5]
    (path,) = series["steps"][1]["paths"]
    assert asked(client, f"artifacts/{path}").text == "again"


def test_artifacts_are_listed_with_their_sizes(client):
    listed = asked(client, "artifacts").json()["artifacts"]

    sizes = {one["path"]: one["size_bytes"] for one in listed}
    assert sizes["model.pt"] == 1024


@pytest.mark.parametrize(
    "path",
    ["artifacts/no.txt", "looks/no.txt", "artifacts/../../../etc/passwd", "documents/patch"],
)
def test_names_of_nothing_are_not_found(client, path):
    encoded = path.replace("..", "%2e%2e")

    response = client.get(f"/api/v1/runs/mnist%232/{encoded}")

    assert response.status_code == 404
    assert "error" in response.json()


def test_the_description_has_the_details_of_runs(client):
    paths = client.get("/api/v1/openapi.json").json()["paths"]

    assert "/api/v1/runs/{name}/output" in paths
    assert json.dumps(paths["/api/v1/runs/{name}/artifacts/{path}"]).count('"in": "path"') == 2
