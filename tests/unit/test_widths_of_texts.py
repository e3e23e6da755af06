"""Widths of texts on a terminal: most are known without the tables of `rich`."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from rich import cells

from runstore.cli.output import TableColumn, cell_len, table_of

texts = st.text(st.sampled_from("abÜß…→\u2014▁▇█─µ漢é\u0301😀\u200d\u0627क्"), max_size=12)


@given(texts)
def test_a_width_is_that_of_rich(text):
    assert cell_len(text) == cells.cell_len(text)


def test_every_narrow_character_has_the_width_of_rich():
    for code in (*range(0x20, 0x7F), *range(0xA0, 0x3000)):
        assert cell_len(chr(code)) == cells.cell_len(chr(code)), hex(code)


def test_texts_of_tables_need_no_rich():
    code = (
        "import sys; from runstore.cli import output; output.is_terminal = lambda: True\n"
        "output.print_table([output.TableColumn('a'), output.TableColumn('b')],"
        " [['…é' * 200, 'loss → 0.1 ─ µ']])\n"
        "print('rich' in sys.modules)"
    )

    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert shown.stdout.splitlines()[-1] == "False", shown.stdout
    assert "…" in shown.stdout


def test_a_table_in_a_pipe_crops_nothing(capsys):
    table_of([TableColumn("a")], [["x" * 500]]).print_rows([["x" * 500]])

    assert capsys.readouterr().out == "x" * 500 + "\n"
