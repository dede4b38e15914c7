"""Bounds, p-values and quantiles: arrays in, numbers out. No I/O, no product nouns."""

from feasible.stats.binomial import (
    binomial_p_value,
    binomial_quantile,
    interval,
    lower_bound,
    rows_for_power,
    rows_needed,
    upper_bound,
    zero_miss_rows,
)
from feasible.stats.bounded import (
    betting_p_value,
    betting_upper_bound,
    fixed_stake_p_value,
    fixed_stake_upper_bound,
    hoeffding_bentkus_p_value,
    hoeffding_bentkus_upper_bound,
    mean_interval,
)
from feasible.stats.quantiles import quantile_interval, quantile_upper_bound

__all__ = [
    "betting_p_value",
    "betting_upper_bound",
    "binomial_p_value",
    "binomial_quantile",
    "fixed_stake_p_value",
    "fixed_stake_upper_bound",
    "hoeffding_bentkus_p_value",
    "hoeffding_bentkus_upper_bound",
    "interval",
    "lower_bound",
    "mean_interval",
    "quantile_interval",
    "quantile_upper_bound",
    "rows_for_power",
    "rows_needed",
    "upper_bound",
    "zero_miss_rows",
]
