"""Recipes: how a downloaded cohort becomes a manifest, one module per cohort."""
