"""What is printed after chunks of the reference were put back."""

from replications.commands.restore import ABSENT, FINISHED, summary


def row(restored: int, note: str) -> dict[str, object]:
    return {"paper": "tea", "group": "lady", "seeds": "0-4", "restored": restored, "note": note}


def test_a_restoration_lists_what_it_did_and_counts_what_the_reference_never_had() -> None:
    rows = [row(2, ""), row(0, FINISHED), row(0, "lady: trained with other settings"), row(0, f"a: {ABSENT}; b: {ABSENT}")]
    shown, sentence = summary(rows)
    assert shown == rows[:3]
    assert sentence == "2 chunks restored; 2 of 4 jobs are done, 2 are left to train (1 of them not in the reference)."
    mixed = row(0, f"a: {ABSENT}; b: trained with other settings")
    assert summary([mixed])[0] == [mixed], "a job that is refused is named"
    assert summary(rows[:1])[1] == "2 chunks restored; 1 of 1 jobs are done, 0 are left to train."
