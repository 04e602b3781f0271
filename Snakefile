# The workflow lives in workflow/, where Snakemake's catalogue looks for it. An included file's default target is
# not taken over, so it is named again here.
include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
    localrule: True
