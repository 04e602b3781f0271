# Fetch and verify each paper's data on the head, which has a network, before jobs that may have none.

for paper in PAPERS:

    rule:
        name:
            f"data_{paper}"
        output:
            jobs.data_file(RUNS, paper),
        log:
            f"{LOGS}/{paper}/data.log",
        priority: jobs.DATA_PRIORITY
        localrule: True
        threads: jobs.data_threads(CONFIG, workflow.resource_settings.cores)
        params:
            paper=paper,
            tier=TIER,
        message:
            f"{paper}: data"
        shell:
            "python -P -m replications data fetch --paper {params.paper:q} --tier {params.tier:q} --out {output:q} --log {log:q}"
