//! Combinations by number, so that they need not be written out.

/// How many combinations of `k` of `n` there are, or more than 2⁶⁴ if they are more.
pub(crate) fn binomial(n: usize, k: usize) -> u128 {
    if k > n {
        return 0;
    }
    let mut count = 1u128;
    for i in 0..k.min(n - k) as u128 {
        count = count * (n as u128 - i) / (i + 1);
        if count > u128::from(u64::MAX) {
            break;
        }
    }
    count
}

/// The `rank`-th combination of `k` of `n`, in lexicographic order.
pub(crate) fn combination(rank: usize, n: usize, k: usize) -> Vec<usize> {
    let mut rank = rank as u128;
    let mut chosen = Vec::with_capacity(k);
    let mut next = 0;
    while chosen.len() < k {
        let with_next = binomial(n - next - 1, k - chosen.len() - 1);
        if rank < with_next {
            chosen.push(next);
        } else {
            rank -= with_next;
        }
        next += 1;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn combinations_are_counted_and_come_in_order(n in 1usize..9, k in 1usize..5) {
            let all: Vec<Vec<usize>> = (0..binomial(n, k) as usize).map(|r| combination(r, n, k)).collect();
            let naive = (0..1u32 << n).filter(|set| set.count_ones() as usize == k).count();
            prop_assert_eq!(all.len(), naive);
            prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(all.iter().all(|c| c.len() == k && c.windows(2).all(|p| p[0] < p[1])));
        }
    }
}
