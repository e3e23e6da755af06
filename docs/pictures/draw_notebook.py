"""Draw the tables of a notebook, light and dark: python docs/pictures/draw_notebook.py.

Needs Playwright's Python package, Pillow and Chromium.
"""

import html
from pathlib import Path

from digits_project import digits_project
from draw_charts import browser_tab, shrink

from runstore import Store

HERE = Path(__file__).parent
CELLS = ('run = store.get("network#1"); run.metrics', 'store.find("experiment = network")')
# The rules of JupyterLab for tables, in its two themes.
PAGE = """
<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; font: 13px system-ui, sans-serif; }}
main {{ padding: 12px 20px; }}
.dark {{ background: #111; color: #ddd; }}
code {{ display: block; padding: 6px 8px; margin: 8px 0; border: 1px solid #8884; }}
table {{ border-collapse: collapse; font-size: 12px; }}
td, th {{ padding: 4px 8px; white-space: nowrap; }}
tr:nth-child(odd) {{ background: #8881; }}
</style><main>{cells}</main><main class="dark">{cells}</main>
"""


def cells(store):
    """Yield each cell with its output."""
    shown = (store.get("network#1").metrics, store.find("experiment = network"))
    for text, thing in zip(CELLS, shown, strict=True):
        yield f"<code>{html.escape(text)}</code>{thing._repr_html_()}"


if __name__ == "__main__":
    with digits_project() as folder, Store.open(folder / ".runstore", create=False) as kept:
        page = PAGE.format(cells="".join(cells(kept)))
    with browser_tab(1000, 400) as view:
        view.set_content(page)
        view.screenshot(path=HERE / "notebook.png", full_page=True)
    shrink("notebook.png")
