"""The documentation site: what is generated from code, declarations and the reference, beside the written pages of `docs/`."""
