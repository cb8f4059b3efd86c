"""Recipes that turn downloaded cohorts into manifests, one module per source."""
