#!/usr/bin/env bash
# What is in docs/results.md: comparisons with other tools, and the paper's tables.
# Usage: runs/results.sh DATA OUT   (DATA: folder with hippocampus/ and brain_ixi/)
# Needs voltween[baselines]. What is finished in OUT is not done again.
set -euo pipefail
data=$1 out=$2 here=$(dirname "$0")/..
export OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1  # the same for all

voltween train "$data/hippocampus/cases.csv" --network voxelmorph-2 \
  --shape 32 32 32 --spacing-mm 2 2 2 --validate-every 250 --out "$out/voxelmorph"
tools=identity,ants,ants-syn,elastix
voltween compare "$data/hippocampus/cases.csv" --max-pairs 6 --keep-transforms \
  --methods "$tools,voxelmorph:$out/voxelmorph/best.safetensors,model:hippocampus" \
  --out "$out/hippocampus"
voltween compare "$data/brain_ixi/cases.csv" --max-pairs 3 --keep-transforms \
  --methods "$tools,model:brain" --out "$out/brain"
for table in 3 4 6 7; do
  voltween experiment "$here/experiments/table_$table.toml" \
    "$data/hippocampus/cases.csv" --max-pairs 60 --out "$out/experiments"
done
for table in 2 5; do
  voltween experiment "$here/experiments/table_$table.toml" \
    "$data/hippocampus/cases.csv" --max-pairs 6 --out "$out/experiments"
done
