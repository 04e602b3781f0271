# The report: one folder of pages that open from disk, the same content as a PDF, and an archive of all files.


rule report_pages:
    input:
        claims=f"{DERIVED}/claims.csv",
        records=expand(f"{DERIVED}/{{paper}}/records.parquet", paper=PAPERS),
        presentation=[
            path
            for paper in PAPERS
            for _, path in jobs.presentation_outputs(CONFIG, paper)
        ],
        texts=[path for paper in PAPERS for path in jobs.text_inputs(paper)],
        verdict_log=jobs.log_inputs(CONFIG),
        code=jobs.report_code(),
        workflow=jobs.relative(jobs.workflow_files()),
    output:
        f"{REPORT}/index.html",
        report(
            f"{REPORT}/report.pdf",
            category="all papers",
            labels={"name": "Replication report", "form": "PDF"},
            caption="../report/report.rst",
        ),
        f"{REPORT}/exports.zip",
        f"{REPORT}/ro-crate-metadata.json",
    log:
        f"{LOGS}/report.log",
    localrule: True
    params:
        tier=TIER,
        source=SOURCE,
        papers=[word for paper in PAPERS for word in ("--paper", paper)],
        runs=lambda wildcards: RUNS,
        derived=lambda wildcards: DERIVED,
        out=lambda wildcards, output: os.path.dirname(output[0]),
    message:
        "report"
    shell:
        "python -P -m report --tier {params.tier:q} --source {params.source:q} {params.papers:q} --results {params.runs:q}"
        " --derived {params.derived:q} --out {params.out:q} 2> {log:q}"
