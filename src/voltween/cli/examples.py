"""Examples of commands, which their help shows: two lines each."""

EXAMPLES = {
    "register": (
        "voltween register fixed.nii.gz moving.nii.gz --out result",
        "voltween register ct.nii.gz mr.nii.gz --out result --similarity MIND-SSC",
    ),
    "cohort": (
        "voltween cohort cases.csv --fixed atlas.nii.gz --out results",
        "voltween cohort scans/ --all-pairs --out results --workers 4",
    ),
    "apply": (
        "voltween apply fixed_to_moving.h5 pet.nii.gz --onto fixed.nii.gz --out o.nii",
        "voltween apply fixed_to_moving.h5 landmarks.csv --out moved.csv",
    ),
    "convert": (
        "voltween convert fixed_to_moving.h5 --to fsl --fixed f.nii --moving m.nii "
        "--out w.nii",
        "voltween convert w.nii --convention fsl --to itk --fixed f.nii --moving m.nii "
        "--out warp.h5",
    ),
    "jacobian": (
        "voltween jacobian fixed_to_moving.h5 --onto fixed.nii.gz --out j.nii.gz",
        "voltween jacobian fixed_to_moving.h5 --onto fixed.nii.gz --out j.nii.gz --log",
    ),
    "template": (
        "voltween template scans/ --out template",
        "voltween template cases.csv --out template --rounds 6 --workers 4",
    ),
    "segment": (
        "voltween segment scan.nii.gz --atlases atlases.csv --out labels.nii.gz",
        "voltween segment scan.nii.gz --atlases atlases.csv --out l.nii.gz "
        "--fusion staple",
    ),
    "models": (
        "voltween models",
        "voltween models brain",
    ),
    "demo": (
        "pip install 'voltween[demo]'",
        "voltween demo --out demo",
    ),
    "doctor": (
        "voltween doctor",
        "voltween doctor --json > doctor.json",
    ),
    "schema": (
        "voltween schema registration > registration.schema.json",
        "voltween schema plan --out plan.schema.json",
    ),
    "completion": (
        "voltween completion bash >> ~/.bashrc",
        "voltween completion zsh > ~/.zfunc/_voltween",
    ),
    "prepare": (
        "voltween prepare lpba40",
        "voltween prepare lpba40 LPBA40.zip --out lpba40",
    ),
    "split": (
        "voltween split cases.csv --val 0.1 --test 0.2 --out split.csv",
        "voltween split cases.csv --test-from test --val 0.1 --out split.csv",
    ),
    "join": (
        "voltween join oasis/cases.csv abide1/cases.csv --out both",
        "voltween plan both/cases.csv",
    ),
    "plan": (
        "voltween plan cases.csv",
        "voltween plan cases.csv --like brain --out fine_tuning.toml",
    ),
    "synthesize": (
        "voltween synthesize labels.nii.gz --out pairs",
        "voltween synthesize plan.toml --out pairs --pairs 8",
    ),
    "train": (
        "voltween train plan.toml --out run",
        "voltween train cases.csv --out run --cascade ADDD --steps 4000",
    ),
    "card": (
        "voltween card run --purpose 'T1 MR of heads' --license MIT",
        "voltween card run --name heads",
    ),
    "import-rcn": (
        "voltween import-rcn brain/model --out model.safetensors",
        "voltween import-rcn liver/model --out model.safetensors --repeats 3",
    ),
    "evaluate": (
        "voltween evaluate cases.csv --model brain --out scores",
        "voltween evaluate cases.csv --model run/best.safetensors --out s --split test",
    ),
    "compare": (
        "voltween compare cases.csv --methods ants,elastix,model:brain --out s",
        "voltween compare cases.csv --methods ants,model:brain --out s --workers 2",
    ),
    "align": (
        "voltween align cases.csv --out aligned",
        "voltween align cases.csv --out aligned --atlas S01 --workers 4",
    ),
    "bench": (
        "voltween bench --quick",
        "voltween bench --out bench --sizes 128 64 --parts operations cascades",
    ),
    "experiment": (
        "voltween experiment table_2 cases.csv --out paper --dry-run",
        "voltween experiment table_4 cases.csv --out paper --scale paper",
    ),
    "figures": (
        "voltween figures tweening f.nii.gz m.nii.gz --model brain --out cascade.png",
        "voltween figures curves run --out curves.pdf",
    ),
}
"""By the names of commands."""
