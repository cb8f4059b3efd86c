#!/usr/bin/env bash
# Reproduces the shipped hippocampus model: trains, evaluates, and writes the model card.
# Usage: runs/hippocampus.sh DATA OUT   (DATA: folder with cases.csv)
set -euo pipefail
data=$1 out=$2
voltween train "$data/cases.csv" --out "$out" --cascade ADD \
  --shape 48 64 48 --spacing-mm 1 1 1 --channels 16 --levels 4 --flow-multiplier 1 \
  --steps 3200 --learning-rate 5e-4 --objective.last-similarity "local correlation" \
  --objective.overlap 2.0 0.0 0.5 \
  --augmentation.displacement 0.05 --augmentation.rotation-degrees 15 \
  --augmentation.scaling 0.1 --augmentation.translation 0.08 --augmentation.gamma 0.3 \
  --augmentation.bias 0.2 --augmentation.noise 0.03 --validate-every 200
voltween evaluate "$data/cases.csv" --model "$out/best.safetensors" --out "$out/val"
echo "voltween evaluate hippocampus/cases.csv --model hippocampus --out val" > "$out/val/command.txt"
python "$(dirname "$0")/ship.py" hippocampus --model "$out/best.safetensors" \
  --figures "$out/val" --curves "$out" --recipe runs/hippocampus.sh
