"""The report of a comparison: tables, statistics, pages and plots."""
