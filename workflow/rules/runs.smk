# One rule per group of runs; its jobs are chunks of seeds. A job resumes what a stopped one left behind.
# exec: a scheduler's signal reaches the training itself, not a shell that would die of it and leave the training.

for group in TRAINING:

    rule:
        name:
            group.name
        input:
            # Only its presence: a restored chunk is not retrained because data were verified anew; declarations are part of the code.
            data=ancient(f"{RUNS}/{group.paper}/data.json"),
            code=group.code,
        output:
            group.outputs,
        log:
            f"{LOGS}/{group.paper}/{group.name}-{{seeds}}.log",
        benchmark:
            f"{LOGS}/{group.paper}/{group.name}-{{seeds}}.benchmark.tsv"
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
            state=f"--state {CONFIG.state}" if CONFIG.state else "",
            device="" if CONFIG.device == "auto" else f"--device {CONFIG.device}",
        message:
            f"{group.paper}: {', '.join(group.runs)} (seeds {{wildcards.seeds}})"
        shell:
            "exec python -m replications run {params.paper} {params.runs} --tier {params.tier} --seeds {wildcards.seeds}"
            " --out {params.out} --threads {threads} {params.device} {params.state} --log {log}"
