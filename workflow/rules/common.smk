# The configuration, validated before anything runs, and the names that the rules share.
import os
import sys
from pathlib import Path

SUITE = Path(workflow.basedir).parent
sys.path.insert(0, str(SUITE))

from workflow import jobs
from workflow.configuration import read_configuration
from replications.errors import ReplicationError
from replications.memory import available_gb
from replications.registry.papers import load_paper

try:
    CONFIG = read_configuration(dict(config))
    TRAINING = jobs.training_rules(CONFIG) if CONFIG.source == "runs" else []
    os.environ.update(jobs.environment())
except ReplicationError as error:
    raise WorkflowError(str(error)) from None

# On this machine, what runs at once shares its memory; a scheduler divides that of a cluster (its profile sets `jobs`).
if workflow.is_main_process and workflow.nodes is None:
    for name, amount in jobs.machine_resources(workflow.global_resources).items():
        workflow.register_resource(name, amount)


onstart:
    if workflow.nodes is None and (
        warning := jobs.memory_warning(TRAINING, available_gb())
    ):
        print(warning, file=sys.stderr)


TIER = CONFIG.tier
SOURCE = CONFIG.source
PAPERS = CONFIG.chosen
RUNS = str(CONFIG.runs_folder)
DERIVED = str(CONFIG.derived_folder)
REPORT = f"{DERIVED}/report"
LOGS = f"logs/{Path(DERIVED).name}"


def report_output(path, paper, kind):
    """Return an output that `snakemake --report` lists under its paper; metadata and indices are plain paths, which it does not list."""
    labels = jobs.labels(path)
    place = {"category": load_paper(paper).short, "subcategory": f"{kind}s"}
    caption = f"../report/{kind}.rst"
    return report(path, labels=labels, caption=caption, **place) if labels else path


wildcard_constraints:
    seeds=r"\d+-\d+",
    paper="|".join(PAPERS),
