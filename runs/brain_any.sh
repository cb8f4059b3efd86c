#!/usr/bin/env bash
# Reproduces the shipped model brain-any, for heads of any contrast: trains it, then
# trains its best step further at a low rate, and then with averaged weights, writes the
# model card, and measures it beside brain across contrasts. Repeat the command to go on
# after an interruption.
# Of the shipped model, the first part was stopped after 1700 of its 3400 steps and the
# second after 808; the end-point error was then a mean over all voxels of a step that
# have a target, and is now one over pairs. Between the second and the last part, it
# took 1777 steps at 2e-4 and 956 at 6e-5 without averages, which gained nothing on val
# pairs, and went on from their last weights. The last part was stopped after 3562 steps.
# Usage: runs/brain_any.sh DATA OUT   (DATA: folder with brain_ixi and synthseg_labels)
set -euo pipefail
data=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
mkdir -p "$2"
cd "$2"
python "$here/brain_any_cohort.py" "$data" .
voltween synthesize plan.toml --out pairs --cache cache
voltween train plan.toml --out first --cache cache --workers 1
voltween train plan.toml --out second --cache cache --workers 1 --steps 1400 \
  --steps-per-epoch 350 --learning-rate 6e-5 --start-from first/best.safetensors \
  --validate-every 200
voltween train plan.toml --out run --cache cache --workers 1 --steps 4000 \
  --steps-per-epoch 1000 --learning-rate 6e-5 --averaged-steps 400 \
  --start-from second/best.safetensors
voltween evaluate "$data/brain_ixi/cases.csv" --model run/best.safetensors --out val
voltween evaluate "$data/brain_ixi/cases.csv" --model run/best.safetensors \
  --out val_masked --masked
evaluate="voltween evaluate brain_ixi/cases.csv --model brain-any"
echo "$evaluate --out val" > val/command.txt
echo "$evaluate --out val_masked --masked" > val_masked/command.txt
run=$PWD
(cd "$here/.." && python runs/ship.py brain-any --model "$run/run/best.safetensors" \
  --figures "$run/val" "$run/val_masked" --curves "$run/run" --recipe runs/brain_any.sh)
python "$here/contrasts.py" measure "$data/brain_ixi/cases.csv" contrasts.csv \
  --methods brain brain-any brain+accurate brain-any+accurate none+accurate
python "$here/contrasts.py" show contrasts.csv
