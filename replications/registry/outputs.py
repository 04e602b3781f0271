"""The files that results are shown in: which kinds a figure, an exhibit and a published table are written as."""

FIGURE_KINDS = ("svg", "pdf", "png", "csv")
"""Suffixes of a drawn figure: three images, and the numbers that they show."""

EXHIBIT_KINDS = ("html",)
"""Suffixes of an interactive exhibit."""

TABLE_KINDS = ("csv", "tex", "md")
"""Suffixes of a published table beside our numbers."""

METADATA_KIND = "json"
"""Suffix of the metadata beside a figure or an exhibit."""

INDEX = "index.json"
"""The names of a folder's figures or exhibits, in the order in which they are shown."""
