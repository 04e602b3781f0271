"""Figures, tables, citations, exhibits and differences, as they are shown."""
