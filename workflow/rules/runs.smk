# One rule per group of runs; its jobs are chunks of seeds. A job resumes from the state of a job that was stopped.
# exec: a scheduler's signal must reach the training process; a shell in between would exit and leave the training running.

for group in TRAINING:

    rule:
        name:
            group.name
        input:
            # ancient: only its presence counts, so that verifying data again does not retrain restored chunks.
            data=ancient(jobs.data_file(RUNS, group.paper)),
            code=group.code,
        output:
            group.outputs,
        log:
            f"{LOGS}/{group.paper}/{group.name}-{{seeds}}.log",
        priority: group.priority
        threads: group.threads
        resources:
            **group.resources,
        params:
            paper=group.paper,
            runs=group.runs,
            digests=group.digests,
            tier=TIER,
            out=lambda wildcards, output: Path(output[0]).parents[3],
            state=["--state", CONFIG.state] if CONFIG.state else [],
            device=[] if CONFIG.device == "auto" else ["--device", CONFIG.device],
        message:
            f"{group.paper}: {', '.join(group.runs)} (seeds {{wildcards.seeds}})"
        shell:
            "exec python -P -m replications run {params.paper:q} {params.runs:q} --tier {params.tier:q} --seeds {wildcards.seeds:q}"
            " --out {params.out:q} --threads {threads:q} {params.device:q} {params.state:q} --log {log:q}"
