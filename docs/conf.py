"""The documentation site: ``make docs`` builds it into build/docs.  Nothing in it comes from another host."""

from __future__ import annotations

import sys
from pathlib import Path

import perfsuite

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "perfsuite"
author = "the perfsuite authors"
version = release = perfsuite.__version__
html_title = f"perfsuite {release}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "pytest_reference",
    "docstrings",
]
# Tables that other pages include; they are no pages.
exclude_patterns = ["images/*.md"]

myst_heading_anchors = 4  # links to headings are those of GitHub
myst_enable_extensions = ["colon_fence"]
highlight_language = "text"  # most blocks are commands with what they printed
default_role = "code"  # the help of a command is read by people in a terminal: one backtick is code there
smartquotes = False  # or the dashes of options become typography

autodoc_default_options = {"members": True, "undoc-members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

nitpicky = True
# Types of other projects: links to them would need their inventories from the network.
nitpick_ignore_regex = [
    ("py:.*", r"(_?pytest|click|torch|pandas|matplotlib|rich|numpy|IPython)\..*"),
    ("py:.*", r"((collections|collections\.abc|contextlib|os|pathlib|types|typing|datetime)\.|PathLike|Figure$).*"),
]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["perfsuite.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

# A click on "copy" takes the commands of a block and leaves what they printed.
copybutton_prompt_text = "$ "
copybutton_copy_empty_lines = False
copybutton_exclude = ".linenos, .gp"
