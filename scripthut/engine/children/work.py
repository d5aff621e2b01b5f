"""What the child process does with texts, within limits: see workshop.py for how it is asked."""

from scripthut.core.files.notebook import SEPARATOR
from scripthut.core.markdown.render import render
from scripthut.core.measures import figures
from scripthut.engine.children.workshop import serve


def rendered(folder: str, data: bytes) -> bytes:
    """Markdown's HTML; the parts of a notebook each for itself."""
    parts = data.decode("utf-8", "replace").split(SEPARATOR)
    html = SEPARATOR.join(render(part, folder) for part in parts)
    return html.encode("utf-8", "replace")


if __name__ == "__main__":
    serve({"render": rendered, "figures": figures.read})
