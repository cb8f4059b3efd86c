#!/usr/bin/env bash
# Reproduces docs/results.md: comparisons with other tools, and the paper's tables.
# Usage: runs/results.sh DATA OUT   (DATA: folder with hippocampus/, brain_ixi/ and
# headneck_ct/)
# Needs voltween[baselines]. Results that are already finished in OUT are not repeated.
set -euo pipefail
data=$1 out=$2
export OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1  # for all methods

# The `val` cases of the data are the test cases of the tables; a tenth of the training
# cases chooses the checkpoints.
mkdir -p "$out"
hippocampus=$out/hippocampus.csv
voltween split "$data/hippocampus/cases.csv" --test-from val --val 0.1 --seed 1 \
  --out "$hippocampus"

# The paper's tables, small. The atlas of the starred rows is a training case.
experiment() {
  voltween experiment "$1" "$hippocampus" --atlas hippocampus_001 --keep-transforms \
    --max-pairs "$2" --out "$out/tables" "${@:3}"
}
for table in table_4 table_3_shares table_6_shares table_7; do
  experiment "$table" 60
done
experiment "$(dirname "$0")/invertibility.toml" 60
experiment table_2 20 --target-pairs 20
experiment table_5 20 --target-pairs 20

# Other tools and the shipped models.
models() {
  echo "model:$1,model:$1+fast,model:$1+accurate,model:none+fast,model:none+accurate"
}
voltween compare "$hippocampus" --split test --max-pairs 20 --keep-transforms \
  --methods "identity,centres,ants,ants-syn,elastix,greedy,convexadam,$(
    )voxelmorph:$out/tables/small/trained/VoxelMorph-2/best.safetensors,$(models hippocampus)" \
  --out "$out/hippocampus"
voltween compare "$data/brain_ixi/cases.csv" --max-pairs 6 --keep-transforms \
  --methods "identity,ants-syn,greedy,convexadam,$(models brain),$(
    )model:brain+accurate+features,model:none+accurate+features" \
  --out "$out/brain"
voltween compare "$data/headneck_ct/cases.csv" --max-pairs 6 --keep-transforms \
  --methods "identity,centres,ants-syn,greedy,convexadam,$(models headneck)" \
  --out "$out/headneck"
