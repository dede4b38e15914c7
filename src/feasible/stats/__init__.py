"""Bounds, p-values and quantiles: arrays in, numbers out. No I/O, no product nouns.

Which to call depends on where labels come from, never on what they say:

- rows that miss or not, a fair sample: `binomial_p_value`, `upper_bound`; other losses: `betting_*`
- strata of fixed sizes, entities: `fixed_stake_*`
- labels where somebody looked, with a logged chance: `audited_*`; precision: `weighted_*`
- few labels, and a prediction of the loss for many rows: `prediction_powered_*`
- no labels at all: an *agreement* certificate, `upper_bound` of the rows on which an answer differs
  from the last tier's. It is called that, because two tiers may be wrong together: accuracy is at
  least agreement less the last tier's own error rate
- every month again: `delta_at`; after every row: `evidence_so_far`, `any_time_upper_bound`
- several fronts: `bonferroni_split`, or `holm_shown` when all are tested at once
"""

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
from feasible.stats.delays import arrived_share
from feasible.stats.detector import Detector, first_alarms
from feasible.stats.prediction_powered import (
    prediction_powered_p_value,
    prediction_powered_upper_bound,
)
from feasible.stats.quantiles import quantile_interval, quantile_upper_bound
from feasible.stats.regimes import GammaPrior, RegimeDraws, draw_regimes
from feasible.stats.sequential import any_time_upper_bound, evidence_so_far
from feasible.stats.several import bonferroni_split, delta_at, holm_adjusted, holm_shown
from feasible.stats.weighted import (
    audited_p_value,
    audited_upper_bound,
    weighted_p_value,
    weighted_upper_bound,
)

__all__ = [
    "Detector",
    "GammaPrior",
    "RegimeDraws",
    "any_time_upper_bound",
    "arrived_share",
    "audited_p_value",
    "audited_upper_bound",
    "betting_p_value",
    "betting_upper_bound",
    "binomial_p_value",
    "binomial_quantile",
    "bonferroni_split",
    "delta_at",
    "draw_regimes",
    "evidence_so_far",
    "first_alarms",
    "fixed_stake_p_value",
    "fixed_stake_upper_bound",
    "hoeffding_bentkus_p_value",
    "hoeffding_bentkus_upper_bound",
    "holm_adjusted",
    "holm_shown",
    "interval",
    "lower_bound",
    "mean_interval",
    "prediction_powered_p_value",
    "prediction_powered_upper_bound",
    "quantile_interval",
    "quantile_upper_bound",
    "rows_for_power",
    "rows_needed",
    "upper_bound",
    "weighted_p_value",
    "weighted_upper_bound",
    "zero_miss_rows",
]
