# Per paper, in one process: its records as one table, verdicts by rule, published tables beside our results, figures and exhibits. They are
# made again when records, claims or their code change; no training depends on them.

for paper in PAPERS:

    rule:
        name:
            f"present_{paper}"
        input:
            runs=jobs.run_outputs(CONFIG, paper),
            texts=jobs.text_inputs(paper),
            code=jobs.presentation_code(paper),
        output:
            [
                report_output(path, paper, kind)
                for kind, path in jobs.presentation_outputs(CONFIG, paper)
            ],
            records=f"{DERIVED}/{paper}/records.parquet",
            claims=f"{DERIVED}/{paper}/claims.csv",
        log:
            f"{LOGS}/{paper}/presentation.log",
        priority: jobs.presentation_priority(CONFIG, paper)
        localrule: True
        params:
            paper=paper,
            tier=TIER,
            source=SOURCE,
            runs=lambda wildcards: RUNS,
            out=lambda wildcards, output: os.path.dirname(output.records),
        message:
            f"{paper}: verdicts, tables, figures and exhibits"
        shell:
            "python -P -m replications present {params.paper:q} --tier {params.tier:q} --source {params.source:q} --results {params.runs:q} --out {params.out:q} 2> {log:q}"


rule figures:
    input:
        [
            path
            for paper in PAPERS
            for _, path in jobs.presentation_outputs(CONFIG, paper)
        ],
    localrule: True


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
