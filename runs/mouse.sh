#!/usr/bin/env bash
# Mice, of which no shipped model has seen any: networks trained from nothing and ones
# fine-tuned from `brain`, in equally many steps of one thread and with three seeds, then
# compared with `brain-any` as it is, no model and other tools.
# Usage: runs/mouse.sh DATA OUT [STEPS] [MAX_PAIRS]   (DATA: folder with cases.csv)
# OUT/ARM_SEED.time holds the seconds of a training (user: processor seconds),
# OUT/ARM_SEED/validation.csv the Dice of every validation, that of `brain` as it is as
# step 0 of the fine-tuning, OUT/ARM_SEED/card.md its card, and OUT/val/summary.md the
# comparison.
set -euo pipefail
data=$1 out=$2 steps=${3:-400} pairs=${4:-0}
export OMP_NUM_THREADS=1
mkdir -p "$out"
voltween plan "$data/cases.csv" --out "$out/nothing.toml" --overwrite
voltween plan "$data/cases.csv" --like brain --out "$out/tuned.toml" --overwrite
methods="identity"
for seed in 0 1 2; do
  for arm in nothing tuned; do
    run="$out/${arm}_$seed"
    { time voltween train "$out/$arm.toml" --steps "$steps" --seed "$seed" \
        --validate-every "$((steps / 4))" --out "$run"; } 2> "$run.time"
    voltween card "$run" --purpose "MR of stripped mouse brains in vivo" \
      --data "DATA/cases.csv of runs/mouse.sh."
    methods+=",model:$run/best.safetensors,model:$run/best.safetensors+fast"
  done
done
methods+=",model:brain-any,model:brain-any+fast,model:none+fast,model:none+accurate"
methods+=",greedy,ants-syn"
voltween compare "$data/cases.csv" --split val --methods "$methods" \
  --max-pairs "$pairs" --threads 1 --out "$out/val"
