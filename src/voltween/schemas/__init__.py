"""JSON schemas of the files that other programs read: what each key holds.

They are made from the dataclasses that the files hold, so that they state what this
version writes.
"""

from voltween.schemas.catalogue import SCHEMAS as SCHEMAS
from voltween.schemas.catalogue import schema_named as schema_named
from voltween.schemas.dataclass_schema import schema_of as schema_of
