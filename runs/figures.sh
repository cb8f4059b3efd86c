#!/usr/bin/env bash
# Makes the paper's figures in a fresh run, from the two individuals of the demo: the
# cascade in three dimensions (figures 1, 7), sections and masks by method (8, 9, 11 to
# 13) and by stage (10), sections of structures, volume change, training curves.
# Usage: runs/figures.sh OUT [METHODS]   (METHODS as for `voltween compare`)
set -euo pipefail
out=$1 methods=${2:-identity,ants-syn,model:brain,model:brain+fast}
voltween demo --out "$out/demo"
rows() { # two scans of a split
  for role in fixed moving; do
    echo "$1$role,$role.nii.gz,${role}_labels.nii.gz,${role}_landmarks.csv,$2"
  done
}
header=case,image,labels,points,split
{ echo $header; rows "" val; } > "$out/demo/cases.csv"
# The two stand for a cohort, only to show the curves: two scans are too few to learn from.
{ echo $header; rows train_ train; rows val_ val; } > "$out/demo/training.csv"

voltween compare "$out/demo/cases.csv" --methods "$methods" --max-pairs 1 \
  --keep-transforms --out "$out/compared"
for kind in methods sections jacobian; do
  voltween figures $kind "$out/compared" "$out/demo/cases.csv" --out "$out/$kind.png"
done
if [[ ,$methods, == *,model:brain,* ]]; then
  voltween figures stages "$out/compared" "$out/demo/cases.csv" --method model:brain \
    --out "$out/stages.png"
fi
for style in surface volume; do
  voltween figures tweening "$out/demo/fixed.nii.gz" "$out/demo/moving.nii.gz" \
    --model brain --style $style --out "$out/tweening_$style.png"
done
for cascade in AD ADD; do
  voltween train "$out/demo/training.csv" --cascade $cascade --shape 32 32 32 \
    --spacing-mm 6 6 6 --channels 8 --steps 60 --validate-every 15 \
    --out "$out/$cascade"
done
voltween figures curves "$out/AD" "$out/ADD" --out "$out/curves.png"
