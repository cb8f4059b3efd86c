"""Self-contained HTML pages from Jinja2 templates.

Templates, styles and scripts lie in the folder `templates`. A page holds its styles and
scripts (`inline`) and its pictures (`data_uri`), and its content security policy
forbids every request. Scripts are classic ones, as modules do not load from disk.
"""

import base64
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from voltween.escaping import terminal


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
    )
    environment.globals["inline"] = _inline
    return environment


def _text(name: str) -> str:
    return (files("voltween.reports") / "templates" / name).read_text("utf-8")


def _inline(name: str) -> Markup:
    """The text of a style or script, for the inside of its element."""
    return Markup(_text(name))  # our own files, and trusted


def _shown(value: object) -> object:
    is_plain = isinstance(value, str) and not isinstance(value, Markup)
    return terminal(str(value)) if is_plain else value
