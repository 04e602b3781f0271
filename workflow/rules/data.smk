# Fetch and verify each paper's data on the head, which has a network, before jobs that may have none.


rule data:
    input:
        code=lambda wildcards: jobs.code_of(f"papers.{wildcards.paper}.data"),
    output:
        f"{RUNS}/{{paper}}/data.json",
    log:
        f"{LOGS}/{{paper}}/data.log",
    priority: jobs.DATA_PRIORITY
    localrule: True
    threads: jobs.data_threads(CONFIG, workflow.resource_settings.cores)
    params:
        tier=TIER,
    message:
        "{wildcards.paper}: data"
    shell:
        "python -P -m replications data fetch --paper {wildcards.paper:q} --tier {params.tier:q} --out {output:q} --log {log:q}"
