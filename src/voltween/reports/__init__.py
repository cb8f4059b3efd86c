"""Pages for people: HTML files that hold all they need and ask no server for anything.

A page is made from a template and plain values; text in it is shown, never obeyed.
Pages open from disk and can be read without JavaScript. Positions are RAS+ mm.

The names are those of `__init__.pyi`, and a module is imported when one of its names
is first used: one pair needs no index of many.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
