"""Self-contained HTML pages from Jinja2 templates.

Templates, styles and scripts lie in the folder `templates`. A page holds its styles and
scripts (`inline`) and its pictures (`data_uri`), and its content security policy
forbids every request. Scripts are classic ones, as modules do not load from disk.
"""

import base64
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, FunctionLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from voltween.storage import cache_folder, terminal


def render(template: str, **values: object) -> str:
    """Returns the page that a template makes of the values, as HTML.

    Text among the values is escaped, and its control characters are shown as codes.

    Args:
        template: Name of a file in the folder `templates`, such as `report.html`.
        **values: What the template names. One that is missing is an error.
    """
    return _environment().get_template(template).render(**values)


def data_uri(content: bytes, media_type: str) -> str:
    """Returns the content as an address, such as that of a picture in a page.

    `media_type` is such as `image/webp`.
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        bytecode_cache=_kept_templates(),
    )
    environment.globals["inline"] = _inline
    return environment


class _KeptTemplates(FileSystemBytecodeCache):
    """Compiled templates in a folder; what cannot be read or written is made anew.

    Compiling takes a tenth of a second. A file of another text, or of another version
    of Python or Jinja, is not used.
    """

    def load_bytecode(self, bucket: Bucket) -> None:
        """Reads a compiled template, if it is there."""
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Writes a compiled template, if the folder can be written to."""
        with suppress(OSError):
            Path(self.directory).mkdir(parents=True, exist_ok=True)
            super().dump_bytecode(bucket)


def _kept_templates() -> _KeptTemplates | None:
    """The compiled templates of this user; None without a home to keep them in."""
    with suppress(OSError):
        return _KeptTemplates(str(cache_folder() / "templates"))
    return None


def _text(name: str) -> str:
    return (files("voltween.reports") / "templates" / name).read_text("utf-8")


def _inline(name: str) -> Markup:
    """The text of a style or script, for the inside of its element."""
    return Markup(_text(name))  # our own files, and trusted


def _shown(value: object) -> object:
    is_plain = isinstance(value, str) and not isinstance(value, Markup)
    return terminal(str(value)) if is_plain else value
