#!/usr/bin/env bash
# Reproduces docs/results.md: comparisons with other tools, and the paper's tables.
# Usage: runs/results.sh DATA OUT   (DATA: folder with hippocampus/, brain_ixi/ and
# headneck_ct/)
# Needs voltween[baselines]. Results that are already finished in OUT are not repeated.
set -euo pipefail
data=$1 out=$2
export OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1  # for all methods

voltween train "$data/hippocampus/cases.csv" --network voxelmorph-2 \
  --shape 32 32 32 --spacing-mm 2 2 2 --validate-every 250 --out "$out/voxelmorph"
voltween train "$data/brain_ixi/cases.csv" --network voxelmorph-2 \
  --shape 48 64 48 --spacing-mm 3.5 3.5 3.5 --placement head --steps 500 \
  --validate-every 100 --out "$out/voxelmorph_brain"
models() {
  echo "model:$1,model:$1+fast,model:$1+accurate,model:none+fast,model:none+accurate"
}
tools=identity,ants,ants-syn,elastix
voltween compare "$data/hippocampus/cases.csv" --max-pairs 6 --keep-transforms \
  --methods "$tools,ants-syncc,centres,voxelmorph:$out/voxelmorph/best.safetensors,$(
    models hippocampus)" \
  --out "$out/hippocampus"
voltween compare "$data/brain_ixi/cases.csv" --max-pairs 3 --keep-transforms \
  --methods "$tools,voxelmorph:$out/voxelmorph_brain/best.safetensors,$(
    models brain)" --out "$out/brain"
voltween compare "$data/brain_ixi/cases.csv" --max-pairs 1 --keep-transforms \
  --methods ants-syncc --out "$out/brain_syncc"  # 45 minutes of processor time
voltween compare "$data/headneck_ct/cases.csv" --max-pairs 6 --keep-transforms \
  --methods "identity,centres,ants-syn,$(models headneck)" --out "$out/headneck"
for table in 3 4 6 7; do
  voltween experiment "table_$table" "$data/hippocampus/cases.csv" \
    --max-pairs 60 --out "$out/experiments"
done
for table in 2 5; do
  voltween experiment "table_$table" "$data/hippocampus/cases.csv" \
    --max-pairs 6 --out "$out/experiments"
done
