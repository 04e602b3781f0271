"""The command line, one file per command or group of commands; `commands.app` gathers them."""
