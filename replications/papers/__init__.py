"""The replicated papers, one folder each."""
