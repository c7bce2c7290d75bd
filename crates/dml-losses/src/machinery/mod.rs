//! Machinery that several losses share. No loss of its own; nothing here is public.

pub(crate) mod anchor_formula;
pub(crate) mod anchor_pairs;
#[cfg(test)]
pub(crate) mod by_hand;
pub(crate) mod class_order;
pub(crate) mod expression;
pub(crate) mod largest_of_groups;
pub(crate) mod one_positive_pair_per_label;
#[cfg(test)]
pub(crate) mod outcome;
pub(crate) mod pair_formula;
pub(crate) mod pair_set;
pub(crate) mod requirements;
pub(crate) mod row_terms;
pub(crate) mod side;
pub(crate) mod soft_histograms;
pub(crate) mod soft_rank;
pub(crate) mod softmax_mean_of_groups;
pub(crate) mod transposed;
pub(crate) mod triplet_cost;
pub(crate) mod triplet_form;
pub(crate) mod unit_rows;
