#!/usr/bin/env bash
# The way through docs/paper.md on small stand-ins for the paper's scans: from downloads
# to tables II to VII and figures 1, 7 to 13. It shows that the commands work together;
# the numbers in its tables say nothing about a method.
# Usage: runs/paper_small.sh OUT [PART ...]   (PART: liver, brain; if not given, both at
# the same time, each on one core)
# Variables: STAND_INS and SETTINGS have options of stand_ins.py and of `voltween
# experiment`; LIVER_TABLES, BRAIN_TABLES, LIVER_FIGURES and BRAIN_FIGURES have numbers.
set -euo pipefail
out=$1 && shift
settings=${SETTINGS:---shape 32 32 32 --channels 4 --steps 20 --validate-every 20 \
  --voxelmorph-steps 10 --elastix-iterations 50 --target-pairs 1 --max-pairs 1}
downloads=$out/downloads
export OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1

prepare() { # folder, recipe, options
  local cohort=$1 recipe=$2 && shift 2
  voltween prepare "$recipe" "$downloads/$cohort" --out "$out/$cohort" \
    --val-share 0 "$@"
}

join() { # folder, cohorts
  local name=$1 manifests=() && shift
  for cohort; do manifests+=("$out/$cohort/cases.csv"); done
  voltween join "${manifests[@]}" --out "$out/$name"
  voltween split "$out/$name/cases.csv" --test-from test --val 0.25 --seed 3 \
    --out "$out/$name/split.csv"
}

tables() { # cohort, numbers
  local cohort=$1 && shift
  for number; do
    voltween experiment "table_$number" "$out/$cohort/split.csv" --scale small \
      $settings --keep-transforms --out "$out/$cohort/tables"
  done
}

figure() { # number, cohort, number of the table, methods
  local number=$1 cohort=$2 landmarks=(2 3 4)
  local folder=$out/$cohort/tables/small/table_$3 && shift 3
  if [ "$cohort" = brain ]; then landmarks=(7 12 15); fi
  voltween figures methods "$folder" "$out/$cohort/split.csv" --methods "$@" \
    --landmarks "${landmarks[@]}" --out "$out/figure_$number.png"
}

figure_1() { # and 7: the stages of a cascade as transparent volumes
  local images=$out/sliver07/images
  voltween figures tweening "$images"/sliver07-001.* "$images"/sliver07-002.* \
    --model "$out/liver/tables/small/trained/ADDD/best.safetensors" --style volume \
    --out "$out/figures_1_and_7.png"
}
figure_8() { figure 8 liver 2 "VTN ADDD + inv" elastix ANTs VoxelMorph-2; }
figure_9() { figure 9 liver 4 ADDD ADD AD D; }
figure_10() { # ADDD, trained on all scans
  voltween figures stages "$out/liver/tables/small/table_3" "$out/liver/split.csv" \
    --method "LITS + BFH" --landmarks 2 3 4 --out "$out/figure_10.png"
}
figure_11() { figure 11 brain 5 "VTN ADD" "VTN DD*" elastix ANTs "VoxelMorph-2*"; }
figure_12() { figure 12 brain 5 "VTN DD*" "VTN ADD" supervised; }
figure_13() { figure 13 brain 7 ADD "DD*" AD "D*"; }

liver() {
  prepare lits lits --only "$downloads/lists/lits.txt"
  local reference
  reference=$(find "$out/lits/images" -name 'lits-0.*')
  prepare own folder --region liver --exposure ct --reference "$reference"
  prepare sliver07 sliver07 --only "$downloads/lists/sliver07.txt" \
    --reference "$reference" --points "$downloads/landmarks/sliver07"
  join liver lits own sliver07
  tables liver ${LIVER_TABLES-2 3 4}
  for number in ${LIVER_FIGURES-1 8 9 10}; do "figure_$number"; done
}

brain() {
  for cohort in adni abide1 abide2 adhd200; do
    prepare $cohort $cohort --strip "$downloads/masks/$cohort"
  done
  prepare lpba40 lpba40 --only "$downloads/lists/lpba40.txt" \
    --points "$downloads/landmarks/lpba40"
  join brain adni abide1 abide2 adhd200 lpba40
  tables brain ${BRAIN_TABLES-5 6 7}
  for number in ${BRAIN_FIGURES-11 12 13}; do "figure_$number"; done
}

[ -d "$downloads" ] || python "$(dirname "$0")/stand_ins.py" "$downloads" ${STAND_INS-}
if [ $# -gt 0 ]; then
  for part; do $part; done
else
  (liver) > "$out/liver.log" 2>&1 &
  trap 'kill $! 2> /dev/null || true' EXIT
  (brain) 2>&1 | tee "$out/brain.log"
  wait $! || { cat "$out/liver.log" >&2; exit 1; }
  cat "$out/liver.log"
fi
