"""
Check the links of the built site
=================================

Every link from a page to another page, to a place in a page or to a file has to lead somewhere.
Addresses of other sites are not visited: ::

    python docs/check_links.py docs/_build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and the named places of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = set(), {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        """Take what an element links to, and its name."""
        for name, value in attributes:
            if name in ("href", "src"):
                self.links.add(value or "")
            elif name == "id" or (name == "name" and tag == "a"):
                self.places.add(value)


def find_dead_links(folder):
    """Yield a line for every link that leads nowhere."""
    paths = (path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts)
    pages = {path: Page(path) for path in paths}
    for path, page in pages.items():
        for link in sorted(page.links):
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            if not target.exists():
                yield f"{path.relative_to(folder)}: no file {link}"
            elif target in pages and unquote(address.fragment) not in pages[target].places:
                yield f"{path.relative_to(folder)}: no place {link}"


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    if not list(folder.glob("*.html")):
        sys.exit(f"{sys.argv[1]} holds no pages: build the site first.")
    dead = list(find_dead_links(folder))
    print("\n".join(dead) or "All internal links lead somewhere.")
    sys.exit(bool(dead))
