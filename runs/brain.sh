#!/usr/bin/env bash
# Reproduces the shipped brain model: trains on images, then with labels as weak
# supervision, then with more labels per step and weaker regularity; evaluates it on raw
# and stripped heads, and writes the model card.
# Usage: runs/brain.sh DATA OUT   (DATA: folder with cases.csv)
set -euo pipefail
data=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
mkdir -p "$2"
cd "$2"
settings=(--cascade ADD --shape 64 80 64 --spacing-mm 2.5 2.5 2.5 --placement head
  --channels 16 --levels 4 --objective.last-similarity "local correlation"
  --masked-share 0.5 --augmentation.displacement 0.05
  --augmentation.rotation-degrees 15 --augmentation.scaling 0.1
  --augmentation.translation 0.05 --augmentation.gamma 0.3
  --validate-every 200 --validation-pairs 10)
voltween train "$data/cases.csv" --out images "${settings[@]}" --flow-multiplier 1 \
  --steps 2000 --learning-rate 5e-4
voltween train "$data/cases.csv" --out labels "${settings[@]}" --flow-multiplier 1 \
  --start-from images/best.safetensors --steps 1200 --learning-rate 3e-4 \
  --objective.overlap 2.0 0.0 0.5 --augmentation.bias 0.2 --augmentation.noise 0.03
voltween train "$data/cases.csv" --out more "${settings[@]}" --flow-multiplier 10 \
  --start-from labels/best.safetensors --steps 600 --learning-rate 3e-4 \
  --objective.overlap 2.0 0.0 0.5 --objective.total-variation 0.5 --labels-per-pair 24 \
  --augmentation.bias 0.2 --augmentation.noise 0.03
voltween evaluate "$data/cases.csv" --model more/best.safetensors --out val
voltween evaluate "$data/cases.csv" --model more/best.safetensors \
  --out val_masked --masked
evaluate="voltween evaluate brain_ixi/cases.csv --model brain"
echo "$evaluate --out val" > val/command.txt
echo "$evaluate --out val_masked --masked" > val_masked/command.txt
run=$PWD
cd "$here/.."
python runs/ship.py brain --model "$run/more/best.safetensors" \
  --figures "$run/val" "$run/val_masked" --curves "$run/more" \
  --recipe runs/brain.sh
