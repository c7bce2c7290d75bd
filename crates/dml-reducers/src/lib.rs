//! Reducers turn the terms of a metric learning loss into one number, on Candle.
