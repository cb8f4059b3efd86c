"""The tables of the VTN paper as experiments on a cohort."""
