#!/usr/bin/env bash
# The shipped head and neck model: training, measuring, model card.
# Usage: runs/headneck.sh DATA OUT   (DATA: folder with cases.csv)
set -euo pipefail
data=$1 out=$2
voltween train "$data/cases.csv" --out "$out" --cascade ADD \
  --shape 80 64 96 --spacing-mm 4 4 3.5 --hounsfield-window -300 700 \
  --channels 16 --levels 4 --steps 1600 --learning-rate 5e-4 \
  --objective.last-similarity "local correlation" --objective.affine-similarity 0.3 \
  --objective.overlap 2.0 0.5 1.0 \
  --augmentation.displacement 0.05 --augmentation.rotation-degrees 10 \
  --augmentation.scaling 0.1 --augmentation.translation 0.05 --augmentation.gamma 0.2 \
  --augmentation.noise 0.03 --validate-every 200 --validation-pairs 10
voltween evaluate "$data/cases.csv" --model "$out/best.safetensors" --out "$out/val"
echo "voltween evaluate headneck_ct/cases.csv --model headneck --out val" > "$out/val/command.txt"
python "$(dirname "$0")/ship.py" headneck --model "$out/best.safetensors" \
  --figures "$out/val" --curves "$out" --recipe runs/headneck.sh
