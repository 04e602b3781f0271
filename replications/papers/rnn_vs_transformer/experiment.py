"""Entry point of a run: the measurement that its settings name."""

from __future__ import annotations

from replications.engine.context import Context
from replications.papers.rnn_vs_transformer.cost import measure_cost, measure_generation
from replications.papers.rnn_vs_transformer.counted import measure_counted
from replications.papers.rnn_vs_transformer.forms import measure_forms
from replications.papers.rnn_vs_transformer.gradients import measure_gradients
from replications.papers.rnn_vs_transformer.language import train_language
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.papers.rnn_vs_transformer.synthetic import train_copying, train_recall, train_regular, train_selective
from replications.papers.rnn_vs_transformer.temporal_order import train_order

MEASUREMENTS = {
    "cost": measure_cost,
    "generation": measure_generation,
    "counted": measure_counted,
    "forms": measure_forms,
    "language": train_language,
    "recall": train_recall,
    "copying": train_copying,
    "selective": train_selective,
    "regular": train_regular,
    "gradients": measure_gradients,
    "order": train_order,
}


def run(settings: Settings, context: Context) -> None:
    """Make the measurement that `settings.experiment` names, and record it.

    Args:
        settings: of the run.
        context: receives the records.
    """
    MEASUREMENTS[settings.experiment](settings, context)
