"""Settings of the docs site; build it with: sphinx-build -W -b html docs site."""

import re
from importlib.metadata import version as version_of

from docutils import nodes

project = "runstore"
version = release = version_of(project)
author = project_copyright = "runstore contributors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
default_role = "code"  # docstrings put code between single backticks

html_theme = "furo"
html_title = "runstore"
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["static"]
html_css_files = ["runstore.css"]
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False  # summaries are fetched, which a page of a folder may not

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_default_options = {
    "members": True,
    "inherited-members": "object, BaseException, Exception, OSError, Enum, str, int, tuple",
    "member-order": "bysource",
    "exclude-members": "log_sample, count_from",  # for runstore itself
}
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_use_ivar = True

_HEADING = re.compile(r"^##+ (.+)$")
_LINK = re.compile(r"\]\(([\w/-]+)\.md\)")


def setup(app):
    """Derive the navigation from the index, and shape the Python reference."""
    app.connect("source-read", _add_navigation)
    app.connect("autodoc-process-signature", _hide_constructor)
    app.connect("doctree-resolved", _name_attributes)


def _add_navigation(_app, name, source):
    """Append a table of contents for each group of links on a page of links."""
    if name not in {"index", "coming-from/README", "decisions/README"}:
        return
    caption, groups = "Pages", {}
    for line in source[0].splitlines():
        if heading := _HEADING.match(line):
            caption = heading[1]
        groups.setdefault(caption, []).extend(_LINK.findall(line))
    for caption, pages in groups.items():
        if pages:
            entries = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def _name_attributes(_app, doctree, _page):
    """Use the word of Python for the list that Sphinx calls variables."""
    for name in doctree.findall(nodes.field_name):
        if name.astext() == "Variables":
            name[:] = [nodes.Text("Attributes")]


def _hide_constructor(_app, kind, name, _object, _options, signature, _returned):
    """Leave out the signature of constructors that no program calls."""
    is_returned_only = name.count(".") > 1 or "Backend" in (signature or "")
    return ("", None) if kind == "class" and is_returned_only else None
