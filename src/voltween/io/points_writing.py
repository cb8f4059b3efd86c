"""The text of points files: CSV and Slicer's, in RAS+ mm."""

import csv
import json
from collections.abc import Sequence
from io import StringIO

from voltween.io.slicer_points import FCSV_COLUMNS
from voltween.spatial import Points


def format_points(points: Points, file_name: str) -> str:
    """Text of a points file in RAS, in the format that the file name's suffix says."""
    names = points.names or tuple(str(n + 1) for n in range(len(points.mm)))
    rows = [(*xyz, name) for xyz, name in zip(points.mm.tolist(), names, strict=True)]
    if file_name.endswith(".csv"):
        return _csv_text(["x", "y", "z", "name", "frame"], [(*r, "RAS") for r in rows])
    if file_name.endswith(".fcsv"):
        header = "# Markups fiducial file version = 4.11\n# CoordinateSystem = RAS\n"
        header += f"# columns = {FCSV_COLUMNS}\n"
        lines = [
            (n, *xyz, 0, 0, 0, 1, 1, 1, 0, name, "", "")
            for n, (*xyz, name) in enumerate(rows, 1)
        ]
        return header + _csv_text(None, lines)
    control_points = [
        {"id": str(n), "label": name, "position": xyz}
        for n, (name, xyz) in enumerate(zip(names, points.mm.tolist(), strict=True), 1)
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "RAS",
        "controlPoints": control_points,
    }
    schema = (
        "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
        "Resources/Schema/markups-schema-v1.0.3.json#"
    )
    return json.dumps({"@schema": schema, "markups": [markup]}, indent=1)


def _csv_text(header: list[str] | None, rows: Sequence[tuple[object, ...]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
