"""Programs that pretend to be the Python of a registration's own process."""

import sys

STEP = (
    '{"step": {"part": "dense", "level": 1, "levels": 2, "step": 5, "steps": 10, '
    '"similarity_loss": -0.5}}'
)

RECORD = (
    '{"verdict": {"grade": "good", "reasons": []}, "model": "brain", '
    '"correlation": {"before": 0.5, "after": 0.9}, "folding_percent": 0.0}'
)


def pretender(folder, body):
    """Writes an executable that reads the request as `request` and runs the lines."""
    path = folder / "python"
    lines = [
        f"#!{sys.executable} -S",
        "import json, os, sys, time",
        "request = json.loads(sys.stdin.readline())",
        "say = lambda text: print(text, flush=True)",
        *body,
    ]
    path.write_text("\n".join(lines))
    path.chmod(0o755)
    return str(path)


def done(text="{}"):
    """Lines that write a record and say that it is done."""
    return [
        "os.makedirs(request['out'])",
        f"open(request['out'] + '/registration.json', 'w').write('''{text}''')",
        "say(json.dumps({'done': request['out']}))",
    ]
