"""The command line, one file per group of commands; `replications.__main__` gathers them."""
