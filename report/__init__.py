"""The report generator: reads results, writes one folder of HTML that opens from disk, and the same content as a PDF."""
