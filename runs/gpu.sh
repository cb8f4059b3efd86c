#!/usr/bin/env bash
# All that is to be known on a CUDA machine, in about ten minutes: the tests marked gpu
# (operations, losses, networks, training, register, refine), and ADDD at 128^3 and a
# training step of 8 pairs against plain PyTorch, compiled or not, and as CUDA graphs.
# The tables go into docs/performance.md, all output into OUT/gpu.txt.
# Usage: runs/gpu.sh OUT   (in the environment of `make setup`, with a PyTorch for CUDA)
set -euo pipefail
out=$(realpath -m "$1")
cd "$(dirname "$0")/.."
mkdir -p "$out"
python -c "import torch; assert torch.cuda.is_available(), 'there is no CUDA device'"
{
  failed=0
  python -m pytest -m gpu -ra tests || failed=$?
  python runs/gpu.py --page docs/performance.md
  echo "tests ended with exit code $failed"
} 2>&1 | tee "$out/gpu.txt"
