"""Secrets in cells of notebooks: in magics, in commands of a shell, and in code in JSON."""

import json

import pytest

from runstore.capture.secrets import mask_patch, mask_text

SECRET = "Zq81mm" + "Pl9w20xx77"
# Here {} stands for a secret.
LINES = [
    "%env HF_TOKEN {}",
    "%env HF_TOKEN={}",
    "%env DB_PASSWORD = {}",
    "%set_env HF_TOKEN {}",
    "%set_env HF_TOKEN={}",
    "!export HF_TOKEN={}",
    "!mysql -u root -p{} runs",
    "!HF_TOKEN={} python train.py",
    "rows = !curl -s -u bob:{} x.org",
]


def cell(line):
    return f"import os\n{line}\nx = os.path\n"


@pytest.mark.parametrize("secret", ["hunter2", SECRET])
@pytest.mark.parametrize("line", LINES)
def test_secrets_in_lines_of_notebooks_are_masked(line, secret):
    for text in (line, cell(line), f"%%time\n{cell(line)}", f"# In [1]\n{cell(line)}"):
        assert mask_text(text.format(secret)) == text.format("***")
        assert mask_text(text.format(secret), "cell.py") == text.format("***")


@pytest.mark.parametrize("secret", ["hunter2", SECRET])
@pytest.mark.parametrize("line", [*LINES, "password = '{}'", 'password = "{}"'])
def test_secrets_in_files_of_notebooks_are_masked(line, secret):
    source = [f"{one}\n" for one in cell(line.format(secret)).splitlines()]
    notebook = {"cells": [{"cell_type": "code", "source": source}]}

    for indent in (None, 1):
        masked = json.loads(mask_text(json.dumps(notebook, indent=indent), "fit.ipynb"))
        assert "".join(masked["cells"][0]["source"]) == cell(line.format("***"))


@pytest.mark.parametrize("line", LINES)
def test_secrets_in_patches_of_notebooks_are_masked(line):
    row = json.dumps(line.format(SECRET) + "\n")
    patch = (
        f'--- a/a.ipynb\n+++ b/a.ipynb\n@@ -1,2 +1,3 @@\n    "source": [\n+    {row},\n    "x"\n'
    )

    assert mask_patch(patch, "a.ipynb") == patch.replace(SECRET, "***")


@pytest.mark.parametrize(
    "text",
    [
        "import os\n!mysql -u root \\\n  -p{}",
        "%%bash\nexport DB_PASSWORD={}",
        "x = '{}'\n!echo a\\b",
    ],
)
def test_commands_at_the_end_of_a_text_are_masked(text):
    token = "ghp_" + "a1B2" * 9

    assert mask_text(text.format(token), "a.py") == text.format("***")


def test_cells_of_other_languages_are_masked_as_text():
    text = "%%bash -e\nexport DB_PASSWORD={}\nit's='\nmysql -p{} runs\n\n# In [2]\nimport os\n"

    assert mask_text(text.format(SECRET, SECRET)) == text.format("***", "***")


@pytest.mark.parametrize(
    "text",
    [
        "import os\n%env CUDA_VISIBLE_DEVICES=0\n%env CUDA_VISIBLE_DEVICES 0\n",
        "import os\n%env TOKENIZERS_PARALLELISM false\n%env TOKENIZERS_THREADS 4\n",
        "import os\n%env HF_TOKEN\n%env HF_TOKEN $TOKEN\n%env HF_TOKEN={token}\n",
        "import os\n%load_ext autoreload\n!pip install tokenizers==0.15.2\n",
        "import os\nx = 'password: %s' \\\n%os\ny = 1\n",
        f"import os\nx = (a\n%password == {SECRET}\n)\n",
        f"import os\nif a != token == {SECRET}: pass\n",
    ],
)
def test_other_lines_of_notebooks_are_kept(text):
    assert mask_text(text) == text
