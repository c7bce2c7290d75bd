//! Metric learning losses, with the numbers of PyTorch Metric Learning at a fraction of the cost, on Candle.
