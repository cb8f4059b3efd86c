#!/usr/bin/env bash
# Reproduces the training of the model brain-any, for heads of any contrast, and measures
# it beside brain across contrasts. Repeat the command to go on after an interruption.
# Usage: runs/brain_any.sh DATA OUT   (DATA: folder with brain_ixi and synthseg_labels)
set -euo pipefail
data=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
mkdir -p "$2"
cd "$2"
python "$here/brain_any_cohort.py" "$data" .
voltween synthesize plan.toml --out pairs --cache cache
voltween train plan.toml --out run --cache cache --workers 1
python "$here/contrasts.py" measure "$data/brain_ixi/cases.csv" contrasts.csv \
  --methods brain run/best.safetensors
python "$here/contrasts.py" show contrasts.csv
