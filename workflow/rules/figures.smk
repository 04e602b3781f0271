# Figures and exhibits of a paper, in one process: redrawn when records or drawing code change; no training depends on them.


rule figures:
    input:
        figures=[
            path for paper in PAPERS for path in jobs.figure_outputs(CONFIG, paper)
        ],
        tables=[path for paper in PAPERS for path in jobs.table_outputs(CONFIG, paper)],
    localrule: True


for paper in PAPERS:

    rule:
        name:
            f"figures_{paper}"
        input:
            records=f"{DERIVED}/{paper}/records.parquet",
            texts=jobs.text_inputs(paper),
            code=jobs.drawing_code(paper),
        output:
            [
                report_output(path, paper, "figure")
                for path in jobs.figure_outputs(CONFIG, paper)
            ],
            [
                report_output(path, paper, "exhibit")
                for path in jobs.exhibit_outputs(CONFIG, paper)
            ],
        log:
            f"{LOGS}/{paper}/figures.log",
        priority: jobs.drawing_priority(CONFIG, paper)
        localrule: True
        params:
            paper=paper,
            tier=TIER,
            source=SOURCE,
            runs=lambda wildcards: RUNS,
            out=f"{DERIVED}/{paper}",
        message:
            f"{paper}: figures and exhibits"
        shell:
            "python -P -m replications draw {params.paper:q} --tier {params.tier:q} --source {params.source:q} --results {params.runs:q} --out {params.out:q} 2> {log:q}"
