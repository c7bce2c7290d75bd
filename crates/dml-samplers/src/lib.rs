//! Samplers choose which rows of a labelled data set make a batch.
