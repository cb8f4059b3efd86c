#!/usr/bin/env bash
# Mice, of which no shipped model has seen any: a network trained from nothing and one
# fine-tuned from `brain`, in equally many steps of one thread, then compared with no
# model and with other tools.
# Usage: runs/mouse.sh DATA OUT [STEPS] [MAX_PAIRS]   (DATA: folder with cases.csv)
# OUT/ARM.time holds the seconds of both trainings (user: processor seconds),
# OUT/ARM/validation.csv the Dice of every validation, that of `brain` as it is as step 0
# of the fine-tuning, OUT/ARM/card.md its card, and OUT/val/summary.md the comparison.
set -euo pipefail
data=$1 out=$2 steps=${3:-400} pairs=${4:-0}
export OMP_NUM_THREADS=1
mkdir -p "$out"
voltween plan "$data/cases.csv" --out "$out/nothing.toml" --overwrite
voltween plan "$data/cases.csv" --like brain --out "$out/tuned.toml" --overwrite
methods="identity"
for arm in nothing tuned; do
  { time voltween train "$out/$arm.toml" --steps "$steps" \
      --validate-every "$((steps / 8))" --out "$out/$arm"; } 2> "$out/$arm.time"
  voltween card "$out/$arm" --purpose "MR of stripped mouse brains in vivo" \
    --data "DATA/cases.csv of runs/mouse.sh."
  methods+=",model:$out/$arm/best.safetensors,model:$out/$arm/best.safetensors+fast"
done
methods+=",model:none+fast,model:none+accurate,greedy,ants-syn"
voltween compare "$data/cases.csv" --split val --methods "$methods" \
  --max-pairs "$pairs" --threads 1 --out "$out/val"
