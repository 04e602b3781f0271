# Per paper, in one process: one table of the records of all runs, verdicts by rule, published tables beside our results.

for paper in PAPERS:

    rule:
        name:
            f"judge_{paper}"
        input:
            runs=jobs.run_outputs(CONFIG, paper),
            claims=jobs.text_inputs(paper),
            code=jobs.code_of("presentation.judging", "presentation.tables"),
        output:
            records=f"{DERIVED}/{paper}/records.parquet",
            claims=f"{DERIVED}/{paper}/claims.csv",
            tables=[
                report_output(path, paper, "table")
                for path in jobs.table_outputs(CONFIG, paper)
            ],
        log:
            f"{LOGS}/{paper}/judge.log",
        priority: jobs.drawing_priority(CONFIG, paper)
        localrule: True
        params:
            paper=paper,
            tier=TIER,
            source=SOURCE,
            runs=lambda wildcards: RUNS,
            out=lambda wildcards, output: os.path.dirname(output.records),
        message:
            f"{paper}: verdicts and tables"
        shell:
            "python -P -m replications claims judge {params.paper:q} --tier {params.tier:q} --source {params.source:q} --results {params.runs:q} --out {params.out:q} 2> {log:q}"


rule claims:
    input:
        expand(f"{DERIVED}/{{paper}}/claims.csv", paper=PAPERS),
    output:
        report(
            f"{DERIVED}/claims.csv",
            category="all papers",
            labels={"name": "Claims and verdicts", "form": "CSV"},
            caption="../report/claims.rst",
        ),
    log:
        f"{LOGS}/claims.log",
    localrule: True
    message:
        "claims of all papers"
    shell:
        "python -P -m replications claims merge {input:q} --out {output:q} 2> {log:q}"
