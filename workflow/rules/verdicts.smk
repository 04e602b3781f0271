# Records of all runs in one table per paper; claims judged by rule; published tables beside ours.


rule records:
    input:
        runs=lambda wildcards: pipeline.run_outputs(CONFIG, wildcards.paper),
        code=pipeline.code_of("evidence.results"),
    output:
        f"{DERIVED}/{{paper}}/records.parquet",
    log:
        f"{LOGS}/{{paper}}/records.log",
    localrule: True
    params:
        tier=TIER,
        runs=lambda wildcards: RUNS,
    message:
        "{wildcards.paper}: records"
    shell:
        "python -m replications collect {wildcards.paper} --tier {params.tier} --results {params.runs} --out {output} 2> {log}"


rule verdicts:
    input:
        records=f"{DERIVED}/{{paper}}/records.parquet",
        claims=lambda wildcards: pipeline.text_inputs(wildcards.paper),
        code=pipeline.code_of("evidence.verdicts"),
    output:
        f"{DERIVED}/{{paper}}/claims.csv",
    log:
        f"{LOGS}/{{paper}}/verdicts.log",
    localrule: True
    params:
        tier=TIER,
        runs=lambda wildcards: RUNS,
    message:
        "{wildcards.paper}: verdicts"
    shell:
        "python -m replications verdicts {wildcards.paper} --tier {params.tier} --results {params.runs} --out {output} 2> {log}"


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
        "python -m replications merge-claims {input} --out {output} 2> {log}"


for paper in PAPERS:

    rule:
        name:
            f"tables_{paper}"
        input:
            records=f"{DERIVED}/{paper}/records.parquet",
            claims=pipeline.text_inputs(paper),
            code=pipeline.code_of("evidence.tables"),
        output:
            [
                shown(path, paper, "table")
                for path in pipeline.table_outputs(CONFIG, paper)
            ],
        log:
            f"{LOGS}/{paper}/tables.log",
        localrule: True
        params:
            paper=paper,
            tier=TIER,
            runs=lambda wildcards: RUNS,
            out=lambda wildcards, output: os.path.dirname(output[0]),
        message:
            f"{paper}: tables"
        shell:
            "python -m replications tables {params.paper} --tier {params.tier} --results {params.runs} --out {params.out} 2> {log}"
