#!/usr/bin/env bash
# The shipped brain model: training, measuring (raw and stripped heads), model card.
# Usage: runs/brain.sh DATA OUT   (DATA: folder with cases.csv)
set -euo pipefail
data=$1 out=$2
voltween train "$data/cases.csv" --out "$out" --cascade ADD \
  --shape 64 80 64 --spacing-mm 2.5 2.5 2.5 --placement head --channels 16 --levels 4 \
  --steps 2000 --learning-rate 5e-4 --objective.last-similarity "local correlation" \
  --masked-share 0.5 --augmentation.displacement 0.05 \
  --augmentation.rotation-degrees 15 --augmentation.scaling 0.1 \
  --augmentation.translation 0.05 --augmentation.gamma 0.3 \
  --validate-every 200 --validation-pairs 10
voltween evaluate "$data/cases.csv" --model "$out/best.safetensors" --out "$out/val"
voltween evaluate "$data/cases.csv" --model "$out/best.safetensors" \
  --out "$out/val_masked" --masked
evaluate="voltween evaluate brain_ixi/cases.csv --model brain"
echo "$evaluate --out val" > "$out/val/command.txt"
echo "$evaluate --out val_masked --masked" > "$out/val_masked/command.txt"
python "$(dirname "$0")/ship.py" brain --model "$out/best.safetensors" \
  --figures "$out/val" "$out/val_masked" --recipe runs/brain.sh
