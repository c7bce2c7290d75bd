//! Every kernel with slices that do not fit each other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::conv2d::{self, Block, Convolution, Filter, Kept, Operands, Pooling};
use super::max_pool2d::{max_pool2d, max_pool2d_backward};
use super::optimizer::{AdamStep, SgdStep};

const SIX: [f32; 6] = [3.; 6];
const FIVE: [f32; 5] = [3.; 5];
const FOUR: [f32; 4] = [3.; 4];

const POOLING: Pooling = Pooling {
    kernel: [2, 2],
    stride: [2, 2],
    padding: [0, 0],
    dilation: [1, 1],
    ceil_mode: false,
};

const CONVOLUTION: Convolution = Convolution {
    in_channels: 1,
    out_channels: 2,
    kernel: [1, 1],
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
    groups: 1,
};

const BLOCK: Block = Block {
    first: None,
    convolution: CONVOLUTION,
    relu: false,
    pooling: None,
};

fn operands<'a>(input: &'a [f32], weight: &'a [f32]) -> Operands<'a, f32> {
    Operands {
        image: [2, 2],
        input,
        first: None,
        filter: Filter { weight, bias: &[] },
        scale: &[],
    }
}

/// Asserts that a call panics with a message that says what was expected.
#[track_caller]
fn assert_refused(call: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains(": expected "), "{message}");
}

#[test]
fn max_pooling_refuses_slices_that_do_not_fit() {
    assert_refused(|| drop(max_pool2d(&FIVE, [2, 2], &POOLING)));
    assert_refused(|| drop(max_pool2d_backward(&[0; 2], &FIVE, [2, 2], 1)));
}

#[test]
fn convolution_refuses_slices_that_do_not_fit() {
    assert_refused(|| drop(conv2d::forward(&BLOCK, &operands(&FIVE, &[1.; 2]))));
    assert_refused(|| drop(conv2d::forward(&BLOCK, &operands(&FOUR, &[1.; 1]))));
    assert_refused(|| {
        let grouped = Convolution {
            groups: 2,
            ..CONVOLUTION
        };
        let block = Block {
            convolution: grouped,
            ..BLOCK
        };
        drop(conv2d::forward(&block, &operands(&FOUR, &[1.; 2])));
    });
    assert_refused(|| {
        let scale = Operands {
            scale: &[1.; 3],
            ..operands(&FOUR, &[1.; 2])
        };
        drop(conv2d::forward(&BLOCK, &scale));
    });
    assert_refused(|| {
        let kept = Kept {
            output: &[0.; 8],
            places: &[],
        };
        let operands = operands(&FOUR, &[1.; 2]);
        drop(conv2d::backward(&BLOCK, &operands, kept, &SIX, true));
    });
}

#[test]
fn optimizer_steps_refuse_slices_that_do_not_fit() {
    let adam = AdamStep {
        first_rate: 0.1,
        second_decay: 0.9,
        step_size: 0.1,
        root_correction: 1.,
        eps: 1e-8,
        coupled_decay: 0.,
        shrink: 1.,
    };
    assert_refused(|| adam.apply(&mut [0f32; 3], &[0.; 2], &mut [0.; 3], &mut [0.; 3]));
    assert_refused(|| adam.apply(&mut [0f32; 3], &[0.; 3], &mut [0.; 2], &mut [0.; 3]));
    assert_refused(|| adam.apply(&mut [0f32; 3], &[0.; 3], &mut [0.; 3], &mut [0.; 2]));
    let sgd = SgdStep {
        lr: 0.1,
        momentum: 0.9,
        dampening: 0.,
        decay: 0.,
        nesterov: false,
        first: false,
    };
    assert_refused(|| sgd.apply(&mut [0f32; 3], &[0.; 2], &mut [0.; 3]));
    assert_refused(|| sgd.apply(&mut [0f32; 3], &[0.; 3], &mut []));
}
