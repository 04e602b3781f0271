"""Proxy status follows from the declared scale of the runs that a claim reads."""

from collections.abc import Callable

from replications.registry.papers import Paper
from replications.registry.scale import proxy_of


def test_a_claim_on_a_run_of_smaller_scale_is_a_proxy(make_paper: Callable[..., Paper]) -> None:
    claim = make_paper().claims[0]
    run = claim.measures("gpu")[0].run
    assert proxy_of(claim, "gpu", {run: ()}) == ""
    assert proxy_of(claim, "gpu", {run: ("A tenth of the data.",)}) == "A tenth of the data."
    assert proxy_of(claim, "gpu", {"another": ("A tenth of the data.",)}) == ""


def test_counted_quantities_do_not_depend_on_the_scale_of_training(make_paper: Callable[..., Paper]) -> None:
    claim = make_paper({"counted": True}).claims[0]
    assert proxy_of(claim, "gpu", {claim.measures("gpu")[0].run: ("A tenth of the training.",)}) == ""


def test_the_own_sentence_of_a_claim_comes_before_that_of_its_runs(make_paper: Callable[..., Paper]) -> None:
    claim = make_paper().claims[0]
    tiers = {"gpu": claim.tiers["gpu"].model_copy(update={"proxy": "Half of the tea."})}
    stand_in = claim.model_copy(update={"tiers": tiers})
    assert proxy_of(stand_in, "gpu", {claim.measures("gpu")[0].run: ("A tenth of the data.",)}) == "Half of the tea."
    assert proxy_of(stand_in, "paper", {}) == ""
