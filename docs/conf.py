"""Configuration of the documentation site.

``sphinx-build -W -E docs docs/_build/html`` builds it and runs the examples of the gallery, and
with ``-D plot_gallery=0`` it builds in seconds and shows them without their output. No build needs
a network.
"""

import re
import sys
from pathlib import Path

from docutils.utils.math.latex2mathml import tex2mathml
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  names of the gallery

import skdendbal

sys.path.insert(0, str(Path(__file__).parent))
import gallery

project = "skdendbal"
author = "The skdendbal developers"
copyright = author
version = release = skdendbal.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "benchmarks/results/*.md", "studies/results/*.md"]
templates_path = ["_templates"]
default_role = "literal"  # `X` in docstrings, as in scikit-learn's

# Names of the package must lead somewhere. Those of other projects are links where a simple rule
# finds their page, see below, and plain text otherwise.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!skdendbal\.(?!_)).*")]

# Pages in Markdown
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# The API reference follows ``__all__`` of the modules.
autosummary_generate = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
autodoc_member_order = "bysource"

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": rf"/(?!{'|'.join(gallery.NOT_RUN)})plot_",
    "ignore_pattern": "frompapers",
    "within_subsection_order": "gallery.position",
    "doc_module": ("skdendbal",),
    "backreferences_dir": "api/backreferences",
    "image_srcset": ["2x"],
    "matplotlib_animations": (True, "jshtml"),
    "remove_config_comments": True,
    "show_memory": False,
    "capture_repr": (),
}

# Looks
html_theme = "pydata_sphinx_theme"
html_title = "skdendbal"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/skdendbal/skdendbal",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}
toc_object_entries_show_parents = "hide"

OTHER_PROJECTS = {
    r"sklearn\.": "https://scikit-learn.org/stable/modules/generated/{}.html",
    r"numpy\.": "https://numpy.org/doc/stable/reference/generated/{}.html",
    r"joblib\.": "https://joblib.readthedocs.io/en/stable/generated/{}.html",
}


def link_other_project(app, env, node, contnode):
    """Link a name of another project to its page there, without an inventory to be fetched."""
    from docutils import nodes

    target = node.get("reftarget", "")
    for pattern, address in OTHER_PROJECTS.items():
        if node["refdomain"] == "py" and re.match(pattern, target):
            return nodes.reference("", "", contnode, internal=False, refuri=address.format(target))
    return None


def write_formula(translator, node):
    """Write a formula as MathML, which browsers show without a script or a network."""
    from docutils import nodes

    is_block = isinstance(node, nodes.math_block)
    translator.body.append(tex2mathml(node.astext(), as_block=is_block))
    raise nodes.SkipNode


def close_code_blocks(app, docname, source):
    """Remove the empty line that ends a block of examples: only doctest needs it."""
    source[0] = re.sub(r"\n\n```$", "\n```", source[0], flags=re.MULTILINE)


def setup(app):
    """Register what is the site's own."""
    app.connect("source-read", close_code_blocks)
    app.connect("missing-reference", link_other_project)
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
