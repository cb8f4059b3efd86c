#!/usr/bin/env bash
# Reproduces the shipped head and neck model: trains in two parts, evaluates, and writes
# the model card.
# Usage: runs/headneck.sh DATA OUT   (DATA: folder with cases.csv)
set -euo pipefail
data=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
mkdir -p "$2"
cd "$2"
settings=(--cascade ADD --shape 80 64 96 --spacing-mm 4 4 3.5
  --hounsfield-window -300 700 --channels 16 --levels 4 --flow-multiplier 1
  --objective.last-similarity "local correlation" --objective.affine-similarity 0.3
  --objective.overlap 2.0 0.5 1.0
  --augmentation.displacement 0.05 --augmentation.rotation-degrees 10
  --augmentation.scaling 0.1 --augmentation.translation 0.05
  --augmentation.gamma 0.2 --augmentation.noise 0.03 --validation-pairs 10)
voltween train "$data/cases.csv" --out first "${settings[@]}" \
  --steps 1600 --learning-rate 5e-4 --validate-every 200
voltween train "$data/cases.csv" --out second "${settings[@]}" \
  --start-from first/best.safetensors --steps 700 --learning-rate 3e-4 \
  --validate-every 100
voltween evaluate "$data/cases.csv" --model second/best.safetensors --out val
echo "voltween evaluate headneck_ct/cases.csv --model headneck --out val" > val/command.txt
run=$PWD
cd "$here/.."
python runs/ship.py headneck --model "$run/second/best.safetensors" \
  --figures "$run/val" --curves "$run/second" --recipe runs/headneck.sh
