# Per paper, in one process: records of all runs in one table, claims judged by rule, published tables beside ours.

for paper in PAPERS:

    rule:
        name:
            f"judge_{paper}"
        input:
            runs=pipeline.run_outputs(CONFIG, paper),
            claims=pipeline.text_inputs(paper),
            code=pipeline.code_of("evidence.verdicts", "evidence.tables"),
        output:
            records=f"{DERIVED}/{paper}/records.parquet",
            claims=f"{DERIVED}/{paper}/claims.csv",
            tables=report(
                pipeline.table_outputs(CONFIG, paper),
                category=paper,
                subcategory="tables",
                caption="../report/table.rst",
            ),
        log:
            f"{LOGS}/{paper}/judge.log",
        localrule: True
        params:
            paper=paper,
            tier=TIER,
            runs=lambda wildcards: RUNS,
            out=lambda wildcards, output: os.path.dirname(output.records),
        message:
            f"{paper}: verdicts and tables"
        shell:
            "python -m replications judge {params.paper} --tier {params.tier} --results {params.runs} --out {params.out} 2> {log}"


rule claims:
    input:
        expand(f"{DERIVED}/{{paper}}/claims.csv", paper=PAPERS),
    output:
        f"{DERIVED}/claims.csv",
    log:
        f"{LOGS}/claims.log",
    localrule: True
    message:
        "claims of all papers"
    shell:
        "python -m replications merge-claims {input} --out {output} 2> {log}"
