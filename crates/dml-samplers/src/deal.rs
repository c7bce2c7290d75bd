//! Deals the cards of many suits into hands so that no hand holds a suit twice, and all hands are equally large.
//!
//! Suits are classes and hands are batches: the common part of samplers that show every row and still keep each batch
//! free of repeats.

use rand::Rng;
use rand::seq::SliceRandom;

/// For each of `hands` hands its suits: suit `s` occurs in `cards[s]` different hands, and the hands' sizes differ by
/// one at most. `cards[s] <= hands` for every suit. Time and memory grow with the number of cards.
///
/// Every suit goes to the hands that hold least, chance deciding among equals; that keeps all sizes within one of
/// another, so there is always room. Since large suits would then avoid each other, cards are exchanged at random
/// afterwards, wherever an exchange repeats nothing.
pub(crate) fn deal(cards: &[usize], hands: usize, rng: &mut impl Rng) -> Vec<Vec<u32>> {
    debug_assert!(cards.iter().all(|&n| n <= hands));
    let mut dealt: Vec<Vec<u32>> = vec![Vec::new(); hands];
    let mut suits: Vec<u32> = (0..cards.len() as u32).collect();
    suits.shuffle(rng);
    // Hands `order[..low]` hold one card less than the others.
    let mut order: Vec<usize> = (0..hands).collect();
    let mut low = hands;
    for suit in suits {
        let n = cards[suit as usize];
        let rest = n.saturating_sub(low);
        if rest == 0 {
            for _ in 0..n {
                let chosen = rng.random_range(0..low);
                low -= 1;
                order.swap(chosen, low);
                dealt[order[low]].push(suit);
            }
        } else {
            for &hand in &order[..low] {
                dealt[hand].push(suit);
            }
            let mut top = hands;
            for _ in 0..rest {
                let chosen = rng.random_range(low..top);
                top -= 1;
                order.swap(chosen, top);
                dealt[order[top]].push(suit);
            }
            low = top;
        }
        if low == 0 {
            low = hands;
        }
    }
    exchange(&mut dealt, rng);
    dealt
}

/// Offers every card for exchange with a random card of a random hand.
fn exchange(dealt: &mut [Vec<u32>], rng: &mut impl Rng) {
    let hands = dealt.len();
    for a in 0..hands {
        for i in 0..dealt[a].len() {
            let b = rng.random_range(0..hands);
            if dealt[b].is_empty() {
                continue;
            }
            let j = rng.random_range(0..dealt[b].len());
            let (mine, theirs) = (dealt[a][i], dealt[b][j]);
            if !dealt[b].contains(&mine) && !dealt[a].contains(&theirs) {
                dealt[a][i] = theirs;
                dealt[b][j] = mine;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch_rng::epoch_rng;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hands_are_even_and_hold_no_suit_twice(
            cards in prop::collection::vec(0usize..9, 0..20), more in 0usize..6, seed: u64,
        ) {
            let hands = (cards.iter().max().copied().unwrap_or(0) + more).max(1);
            let dealt = deal(&cards, hands, &mut epoch_rng(seed, 0));
            let mut held = vec![0; cards.len()];
            let total: usize = cards.iter().sum();
            for hand in &dealt {
                prop_assert!(hand.len() == total / hands || hand.len() == total.div_ceil(hands));
                for (i, &suit) in hand.iter().enumerate() {
                    prop_assert!(!hand[..i].contains(&suit));
                    held[suit as usize] += 1;
                }
            }
            prop_assert_eq!(held, cards);
        }
    }

    /// Without the exchange, four suits that each fill half of the hands would meet in two fixed pairs.
    #[test]
    fn large_suits_meet_each_other() {
        let mut together = [[0u32; 4]; 4];
        for epoch in 0..50 {
            for hand in deal(&[20; 4], 40, &mut epoch_rng(1, epoch)) {
                together[hand[0] as usize][hand[1] as usize] += 1;
                together[hand[1] as usize][hand[0] as usize] += 1;
            }
        }
        for a in 0..4 {
            for b in (0..4).filter(|&b| b != a) {
                // 2,000 hands of 2 out of 6 pairs of suits: 333 each, standard deviation below 25.
                assert!((233..433).contains(&together[a][b]), "{together:?}");
            }
        }
    }
}
