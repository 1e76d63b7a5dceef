"""Where the documentation of estimators is, for the links in their HTML representation."""

SITE = "https://skdendbal.github.io/skdendbal"


class DocumentationLinkMixin:
    """Links estimators to their pages, by the attributes that scikit-learn reads."""

    _doc_link_module = "skdendbal"
    _doc_link_template = SITE + "/api/generated/{module}.{name}.html"

    def _doc_link_url_param_generator(self):
        module = type(self).__module__.removesuffix(".coder")  # its class is that of the package
        return {"module": module, "name": type(self).__name__}
