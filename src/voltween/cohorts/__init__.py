"""Cohorts as they are downloaded: what lies on disk, and how it becomes cases."""
