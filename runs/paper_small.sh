#!/usr/bin/env bash
# The way through docs/paper.md on small stand-ins for the paper's scans: from downloads
# to tables II to VII and figures 1, 7 to 13. It shows that the commands work together;
# the numbers in its tables say nothing about the paper.
# Usage: runs/paper_small.sh OUT [PART ...]   (PART: liver, brain; both if not given)
# Variables: STAND_INS and SETTINGS, options of stand_ins.py and `voltween experiment`;
# LIVER_TABLES and BRAIN_TABLES, tables to make; FIGURES, no to make no figures.
set -euo pipefail
out=$1 && shift
parts=${*:-liver brain}
stand_ins=${STAND_INS:-}
settings=${SETTINGS:---shape 32 32 32 --channels 4 --steps 30 --validate-every 15 \
  --voxelmorph-steps 15 --target-pairs 2 --max-pairs 2}
downloads=$out/downloads

[ -d "$downloads" ] ||
  python "$(dirname "$0")/stand_ins.py" "$downloads" $stand_ins

prepare() { # name of the folder, recipe, options
  local cohort=$1 recipe=$2 && shift 2
  voltween prepare "$recipe" "$downloads/$cohort" --out "$out/$cohort" \
    --val-share 0 "$@"
}

join() { # name of the folder, cohorts
  local name=$1 manifests=() && shift
  for cohort; do manifests+=("$out/$cohort/cases.csv"); done
  voltween join "${manifests[@]}" --out "$out/$name"
  voltween split "$out/$name/cases.csv" --test-from test --val 0.25 --seed 1 \
    --out "$out/$name/split.csv"
}

table() { # number, cohort, options
  local name=$1 cohort=$2 && shift 2
  voltween experiment "$name" "$out/$cohort/split.csv" --scale small $settings \
    --keep-transforms --out "$out/$cohort/tables" "$@"
}

liver() {
  prepare lits lits --only "$downloads/lists/lits.txt"
  local reference
  reference=$(find "$out/lits/images" -name 'lits-0.*')
  prepare own folder --region liver --exposure ct --reference "$reference"
  prepare sliver07 sliver07 --only "$downloads/lists/sliver07.txt" \
    --reference "$reference" --points "$downloads/landmarks/sliver07"
  join liver lits own sliver07
  for name in ${LIVER_TABLES-table_2 table_3 table_4}; do table "$name" liver; done
}

brain() {
  for cohort in adni abide1 abide2 adhd200; do
    prepare $cohort $cohort --strip "$downloads/masks/$cohort"
  done
  prepare lpba40 lpba40 --only "$downloads/lists/lpba40.txt" \
    --points "$downloads/landmarks/lpba40"
  join brain adni abide1 abide2 adhd200 lpba40
  for name in ${BRAIN_TABLES-table_5 table_6 table_7}; do table "$name" brain; done
}

for part in $parts; do $part; done
