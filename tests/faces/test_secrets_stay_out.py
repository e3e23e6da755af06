"""No channel brings a secret into the store, apart from those that keep what users write."""

import json
import os
import sys
import warnings

import pytest

import runstore
from commands import git
from commands import runstore as cli
from leaked_secrets import bytes_of
from places import store_at

SECRET = "Zq81mm" + "Pl9w20xx77"
TOKEN = "gh" + "p_" + "a1B2c3D4" * 5


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q", "-b", "work")
    (tmp_path / "train.py").write_text("print(1)\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", runstore.StoreWarning)
        yield


def test_errors_and_tracebacks_are_masked(tmp_path):
    store = store_at(tmp_path / "runs")
    with pytest.raises(ConnectionError), store.start("fit", capture=False):
        raise ConnectionError(f"postgresql://bob:{SECRET}@db/x refused {TOKEN}")
    store.start("fit", capture=False).finish("error", error=f"password={SECRET} is wrong")
    store.record(
        "old",
        started_at="2026-01-01T00:00:00Z",
        status="error",
        error=f"token {TOKEN}",
        tags={"api_key": SECRET},
    )
    store.close()

    assert SECRET.encode() not in bytes_of(tmp_path)
    assert TOKEN.encode() not in bytes_of(tmp_path)
    with store_at(tmp_path / "runs") as again:
        assert again.get("fit#1").error == "ConnectionError: postgresql://bob:***@db/x refused ***"
        assert "raise ConnectionError" in again.get("fit#1").traceback
        assert again.get("fit#2").error == "password=*** is wrong"


def test_tags_that_differ_only_in_their_secrets_are_all_kept(tmp_path):
    other = TOKEN[:4] + TOKEN[4:][::-1]
    given = {f"of {TOKEN}": "1", "of ***~2": "2", f"of {other}": "3"}
    with (
        store_at(tmp_path) as store,
        pytest.warns(runstore.StoreWarning, match="key of a tag"),
        store.start("fit", tags=given, capture=False) as run,
    ):
        assert dict(run.tags) == {"of ***": "1", "of ***~2": "2", "of ***~3": "3"}


def test_tags_set_one_by_one_keep_their_keys_apart(tmp_path):
    other = TOKEN[:4] + TOKEN[4:][::-1]
    with (
        store_at(tmp_path) as store,
        pytest.warns(runstore.StoreWarning, match="key of a tag"),
        store.start("fit", tags={f"of {TOKEN}": "1"}, capture=False) as run,
    ):
        run.tags[f"of {other}"] = "2"
        run.tags.add(f"of {other}!")
        run.tags.update({f"of {other}": "3"})

        assert dict(run.tags) == {"of ***": "1", "of ***~2": "3", "of ***!": ""}
        assert store.get("fit#1").tags == dict(run.tags)

        run.tags.replace({"of ***~2": "4", f"of {other}": "5"})

        assert dict(run.tags) == {"of ***~2": "4", "of ***~3": "5"}


def test_a_key_with_a_renewed_secret_is_the_same_tag_in_every_face(tmp_path):
    other = TOKEN[:4] + TOKEN[4:][::-1]
    old, new = f"of {TOKEN}", f"of {other}"
    with store_at(tmp_path) as store:
        run = store.start("fit", tags={old: "1"}, capture=False)
        run.tags[old] = "2"
        run.finish()
        with store.resume("fit#1") as run:
            run.tags[new] = "3"
        with runstore.start_run(store=store, resume="fit#1", tags={old: "4"}) as run:
            run.tags[old] = "5"
        with store.resume("fit#1") as run:
            run.tags.replace({new: "6"})
        store.tag("fit#1", {old: "7"})
        store.tag("fit#1", {new: None, "of ***": None, old: "8"})

        values = [one.new for one in store.events("fit#1") if one.field == "tags.of ***"]

        assert store.get("fit#1").tags == {"of ***": "8"}
        assert values == ["2", "3", "4", "5", "6", "7", "8"]


def test_a_tag_is_removed_by_the_key_with_its_secret(tmp_path):
    """A tag that is set at once stays, in either order."""
    other = TOKEN[:4] + TOKEN[4:][::-1]
    old, new = f"of {TOKEN}", f"of {other}"
    with store_at(tmp_path) as store:
        store.start("fit", tags={old: "1", "keep": ""}, capture=False).finish()
        for changes, value in (({old: None, new: "2"}, "2"), ({new: "3", old: None}, "3")):
            store.tag("fit#1", changes)
            assert store.get("fit#1").tags == {"keep": "", "of ***": value}
        store.tag("fit#1", {old: None})

        assert store.get("fit#1").tags == {"keep": ""}
        store.undo("fit#1")
        assert store.get("fit#1").tags == {"keep": "", "of ***": "3"}


def test_tags_are_masked_and_that_is_said(tmp_path):
    store = store_at(tmp_path)
    run = store.start("fit", capture=False)
    with pytest.warns(runstore.StoreWarning, match="api_key"):
        run.tags["api_key"] = SECRET
    run.tags.update({"phase": "pilot", "token": "bert", "page": f"https://bob:{SECRET}@x.org"})
    run.finish()
    store.tag("fit#1", {"later": TOKEN})
    with pytest.warns(runstore.StoreWarning, match=r"key .* recorded as 'is-\*\*\*'"):
        store.tag("fit#1", {f"is-{TOKEN}": "1"})
    tags = dict(store.get("fit#1").tags)
    store.close()

    assert tags == {
        "api_key": "***", "is-***": "1", "later": "***", "page": "https://bob:***@x.org",
        "phase": "pilot", "token": "bert",
    }  # fmt: skip
    assert SECRET.encode() not in bytes_of(tmp_path)
    assert TOKEN.encode() not in bytes_of(tmp_path)


def test_addresses_of_inputs_are_masked(tmp_path):
    store = store_at(tmp_path)
    run = store.start("fit", capture=False)
    urls = [
        f"https://bob:{SECRET}@data.org/x.csv",
        f"https://s3/x?X-Amz-Signature={SECRET}&n=1",
        f"https://x.blob.core.windows.net/a?sv=2024&sig={SECRET}%3D",
        f"s3://key:{SECRET}@bucket/x",
    ]
    used = [run.use(one) for one in urls]
    named = run.use("https://data.org/y.csv", f"https://bob:{SECRET}@data.org/y.csv")
    run.finish()
    store.close()

    assert [one.location for one in used][:2] == [
        "https://bob:***@data.org/x.csv",
        "https://s3/x?X-Amz-Signature=***&n=1",
    ]
    assert named.name == "https://bob:***@data.org/y.csv"
    assert SECRET.encode() not in bytes_of(tmp_path)


def test_names_of_artifacts_hold_no_tokens(tmp_path):
    store = store_at(tmp_path)
    run = store.start("fit", capture=False)
    (kept,) = run.save(f"out/{TOKEN}/model.bin", b"1")
    (plain,) = run.save("out/token=5/model.bin", b"2")
    run.finish()
    store.close()

    assert kept.path == "out/***/model.bin"
    assert plain.path == "out/token=5/model.bin"
    assert TOKEN.encode() not in bytes_of(tmp_path)


def test_what_a_user_writes_stays(tmp_path):
    with store_at(tmp_path) as store:
        run = store.start(
            "fit", params={"password": SECRET}, notes=f"token {TOKEN}", capture=False
        )
        run.finish()

        kept = store.get("fit#1")

    assert kept.notes == f"token {TOKEN}"
    assert kept.parameter_sets[0].values == {"password": SECRET}


def test_an_error_is_kept_when_nothing_can_be_loaded(tmp_path, monkeypatch):
    """A process without free descriptors cannot load the patterns; its run ends all the same."""
    for name in [one for one in sys.modules if one.startswith("runstore.capture.secrets")]:
        monkeypatch.setitem(sys.modules, name, None)
    with store_at(tmp_path) as store:
        store.start("fit", capture=False).finish("error", error=f"password={SECRET}")

        assert store.get("fit#1").status == "error"
        assert SECRET not in store.get("fit#1").error


def test_tracked_and_new_files_follow_the_same_rules(repository, monkeypatch):
    monkeypatch.chdir(repository)
    files = ["credentials.json", "server.pem", "deploy.env", "id_rsa"]
    for name in files:
        (repository / name).write_text("x\n")
    git(repository, "add", *files[:2])
    git(repository, "commit", "-qm", "keys")
    for name in files:
        (repository / name).write_text(f"{SECRET}\n")
    (repository / "conf.yaml").write_text(f"lr: 1\npassword: {SECRET}\n")
    (repository / "train.py").write_text(f"login(password={SECRET!r}); token = tokens[i]\n")

    with store_at(repository / "runs") as store:
        store.start("fit").finish()
    with store_at(repository / "runs") as store:
        facts = store.get("fit#1").facts
        patch = store.document("fit#1", "patch")

    assert "credentials.json (may hold secrets)" in facts.unknown["patch.rest"]
    assert "server.pem (may hold secrets)" in facts.unknown["patch.rest"]
    assert "deploy.env (may hold secrets)" in facts.unknown["untracked.rest"]
    assert "masked" in facts.unknown["patch.masked"]
    assert "conf.yaml" in facts.unknown["untracked.masked"]
    assert SECRET.encode() not in bytes_of(repository / "runs")
    assert "token = tokens[i]" in patch


@pytest.mark.parametrize(
    ("line", "is_shown"),
    [
        (f"API_KEY = {SECRET!r}", False),
        (f"DB_PASSWORD = {'swordfish' * 20!r}", False),
        ("def train(epochs):", True),
    ],
)
def test_the_line_before_a_change_is_only_shown_without_secrets(
    repository, monkeypatch, line, is_shown
):
    """A patch names the nearest function or setting above each change."""
    monkeypatch.chdir(repository)
    rest = [f" # {number}" for number in range(5)]
    (repository / "conf.py").write_text("\n".join([line, *rest, " lr = 1", ""]))
    git(repository, "add", "conf.py")
    git(repository, "commit", "-qm", "settings")
    (repository / "conf.py").write_text("\n".join([line, *rest, " lr = 2", ""]))

    with store_at(repository / "runs") as store:
        store.start("fit").finish()
    with store_at(repository / "runs") as store:
        facts = store.get("fit#1").facts
        patch = store.document("fit#1", "patch")

    assert "+ lr = 2" in patch
    assert (f"@@ {line}\n" in patch) is is_shown
    assert SECRET[:12] not in patch
    assert "swordfish" not in patch
    assert "patch.masked" not in facts.unknown


def test_names_of_new_and_changed_files_hold_no_tokens(repository, monkeypatch):
    monkeypatch.chdir(repository)
    (repository / ".gitignore").write_text(f"ignored_{TOKEN}.py\n")
    (repository / f"staged_{TOKEN}.txt").write_text("1\n")
    (repository / f"staged_{TOKEN}.bin").write_bytes(b"\0" * 99)
    git(repository, "add", ".")
    (repository / f"ignored_{TOKEN}.py").write_text("x = 1\n")
    (repository / f"new_{TOKEN}.py").write_text("x = 1\n")
    (repository / f"old_{TOKEN}.py").write_bytes(b"x = '\xe9'\n")
    (repository / f"data_{TOKEN}").mkdir()
    (repository / f"data_{TOKEN}" / "x.bin").write_bytes(b"\0" * 99)

    with store_at(repository / "runs") as store:
        store.start("fit").finish()
    with store_at(repository / "runs") as store:
        facts = store.get("fit#1").facts
        patch = store.document("fit#1", "patch")
        new = store.document("fit#1", "untracked")

    assert TOKEN.encode() not in bytes_of(repository / "runs")
    assert list(json.loads(new)) == ["new_***.py", "old_***.py"]
    assert facts.values["untracked.others"][0].endswith(" data_***/x.bin")
    assert facts.values["untracked.ignored"][0].endswith(" ignored_***.py")
    assert facts.unknown["untracked.encoding"] == "old_***.py (latin-1)"
    assert facts.unknown["untracked.masked"]
    assert "+++ b/staged_***.txt" in patch
    assert "diff --git a/staged_***.bin b/staged_***.bin" in patch
    assert facts.unknown["patch.masked"]


def test_names_of_files_outside_git_hold_no_tokens(tmp_path):
    program = tmp_path / f"{TOKEN}.py"
    program.write_text("import runstore\nrunstore.start_run('fit').finish()\n")

    cli("exec", "-e", "fit", "--", sys.executable, program.name, cwd=tmp_path)
    with store_at(tmp_path / ".runstore") as store:
        new = store.document("fit#1", "untracked")

    assert list(json.loads(new)) == ["***.py"]
    assert TOKEN.encode() not in bytes_of(tmp_path / ".runstore")


def test_files_whose_names_differ_only_in_tokens_are_all_recorded(repository, monkeypatch):
    monkeypatch.chdir(repository)
    other = TOKEN[:4] + TOKEN[4:][::-1]
    for number, token in enumerate((TOKEN, other)):
        (repository / f"new_{token}.py").write_text(f"x = {number}\n")
        (repository / f"new_{token}.bin").write_bytes(b"\0" * (number + 1))

    with store_at(repository / "runs") as store:
        store.start("fit").finish()
    with store_at(repository / "runs") as store:
        facts = store.get("fit#1").facts
        new = json.loads(store.document("fit#1", "untracked"))

    assert new.keys() == {"new_***.py", "new_***.py~2"}
    assert set(new.values()) == {"x = 0\n", "x = 1\n"}
    names = {line.partition(" ")[2] for line in facts.values["untracked.others"]}
    assert names == {"new_***.bin", "new_***.bin~2"}


# Output


def printed(folder, name="latest"):
    with store_at(folder) as store:
        return [line.text for line in store.get(name).output]


def test_output_is_masked_when_asked_for(tmp_path, capsys):
    store = store_at(tmp_path)
    with store.start("fit", capture=False) as run:
        run.keep_output(mask_output=True)
        print("login with pass", end="", flush=True)
        print(f"word={SECRET}", flush=True)
        print(f"x {TOKEN[:20]}", end="", flush=True)
        print(f"{TOKEN[20:]} y\r", end="")
        print("-----BEGIN RSA PRIVATE KEY-----")
        print("MIIEabc/def+" * 4)
        print("-----END RSA PRIVATE KEY-----")
        assert TOKEN.encode() not in bytes_of(tmp_path), "before its line is complete as well"
        print(f"the end: {TOKEN}", end="")
    store.close()

    assert printed(tmp_path)[:1] == ["login with password=***"]
    assert printed(tmp_path)[-1] == "the end: ***"
    for secret in (SECRET, TOKEN, "MIIEabc/def+"):
        assert secret.encode() not in bytes_of(tmp_path)
    assert SECRET in capsys.readouterr().out, "it is shown as ever"


def test_output_stays_as_it_is_otherwise(tmp_path):
    store = store_at(tmp_path)
    with store.start("fit", capture=False) as run:
        run.keep_output()
        print(f"password={SECRET}")
    store.close()

    assert printed(tmp_path) == [f"password={SECRET}"]


@pytest.mark.parametrize(
    ("command", "experiment"),
    [
        (["sh", "-c", f"PGPASSWORD={SECRET} true -c 'select 1'"], "true"),
        (["sh", "-c", f"PASSWORD='{SECRET}'"], "sh"),
        (["sh", "-c", f"--password={SECRET}"], "sh"),
        ([sys.executable, "-m", f"t={TOKEN}"], "t=***"),
        ([f"my-{TOKEN}"], "my-***"),
        (["env", "sshpass", "-p", SECRET], "sshpass"),
    ],
)
def test_names_of_commands_hold_no_secrets(tmp_path, command, experiment):
    for name in ("bin", ".runstore"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin" / f"my-{TOKEN}").symlink_to("/bin/true")
    path = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}

    # Python repeats the name of a module that it does not find.
    ended = cli("exec", "--mask-output", "--", *command, cwd=tmp_path, env=path)

    assert f"recorded as {experiment}_1_" in ended.stderr
    kept = bytes_of(tmp_path / ".runstore").decode(errors="replace")
    ours = "".join(line for line in ended.stderr.splitlines() if line.startswith("runstore: "))
    assert all(secret not in text for text in (kept, ours) for secret in (SECRET, TOKEN))


@pytest.mark.parametrize("how", ["option", "variable", "setting"])
def test_output_of_commands_is_masked_when_asked_for(tmp_path, how):
    code = f"import logging; print('password={SECRET}'); logging.warning('{TOKEN}')"
    (tmp_path / "train.py").write_text(code)
    if how == "setting":
        (tmp_path / "pyproject.toml").write_text("[tool.runstore]\nmask-output = true\n")
    option = ["--mask-output"] if how == "option" else []
    env = {"RUNSTORE_MASK_OUTPUT": "1"} if how == "variable" else {}

    ended = cli("exec", *option, "--", sys.executable, "train.py", cwd=tmp_path, env=env)

    assert SECRET in ended.stdout
    assert sorted(printed(tmp_path / ".runstore")) == ["WARNING:root:***", "password=***"]


def test_output_of_experiments_is_masked_when_asked_for(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "fit.py").write_text(
        f"def run(params, manager):\n    print('password={SECRET}')\n"
        "def get_params():\n    return {'a': {'lr': 1}}\n"
    )

    cli("run", "fit", "--mask-output", cwd=tmp_path)

    assert "password=***" in printed(tmp_path / ".runstore")


def test_a_setting_that_is_none_masks(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.runstore]\nmask-output = 'maybe'\n")
    monkeypatch.chdir(tmp_path)
    store = store_at(tmp_path / "runs")
    with store.start("fit", capture=False) as run:
        with pytest.warns(runstore.StoreWarning, match="mask-output is true or false"):
            run.keep_output()
        print(f"password={SECRET}")
    store.close()

    assert printed(tmp_path / "runs") == ["password=***"]
