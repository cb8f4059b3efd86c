"""NiiVue, the viewer of volumes that a report holds if it is asked to.

https://github.com/niivue/niivue, BSD-2-Clause: its licence is in `templates/niivue`.
"""

import base64
from importlib.resources import files


def niivue_script() -> str:
    """Returns NiiVue's script, compressed by gzip, in Base64."""
    script = files("voltween.reports") / "templates" / "niivue" / "niivue.umd.js.gz"
    return base64.b64encode(script.read_bytes()).decode()
