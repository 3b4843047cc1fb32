"""How Sphinx makes the site (its names are Sphinx's): nothing is executed, nothing is fetched."""

from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = "companion"
author = "The companion authors"
extensions = ["myst_nb"]
html_theme = "furo"
html_title = "companion"
html_static_path = ["static"]
html_favicon = "static/favicon.svg"
html_css_files = ["site.css"]
html_js_files = ["explorer.js"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
html_math_renderer = "mathml"  # the browser's own: no script, no fonts
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_render_markdown_format = "gfm"
nb_number_source_lines = False


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(convert(node.astext()))
    raise SkipNode


def _block(writer: Any, node: Any) -> None:
    writer.body.append(convert(node.astext(), display="block"))
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Let formulas be MathML."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
