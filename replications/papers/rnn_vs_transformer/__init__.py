"""RNN against transformer: the comparison table of courses, measured cell by cell.

Vaswani et al. (2017) Table 1 is the replicated paper; Kaplan et al. (2020) Figure 7, Arora et al. (2023), Jelassi et al. (2024),
Feng et al. (2024), Dao et al. (2022) and Pascanu et al. (2013) give further numbers.
"""
