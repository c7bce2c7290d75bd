use candle_core::{DType, Device, Var};

use super::*;
use crate::TensorExt;
use crate::autograd::row_values;

fn rows(seed: u32, count: usize) -> Tensor {
    let values: Vec<f64> = (0..count * 5)
        .map(|i| f64::from((i as u32 * 7 + seed) % 11) / 4.0 - 1.0)
        .collect();
    Tensor::from_vec(values, (count, 5), &Device::Cpu).unwrap()
}

/// Σⱼ x[i][j]², times 1 + i.
fn squares(matrix: &Tensor) -> Result<Tensor> {
    row_values::<f64>("squares", matrix, |i, row, slopes| {
        let weight = (1 + i) as f64;
        for (slope, x) in slopes.iter_mut().zip(row) {
            *slope = 2.0 * weight * x;
        }
        weight * row.iter().map(|x| x * x).sum::<f64>()
    })
}

/// The gradients of a function of a matrix with respect to both sides, once by deposits and once as Candle's tensors.
fn both_ways(
    of_matrix: impl Fn(&Tensor) -> Result<Tensor>,
    among: bool,
) -> Result<[Vec<Vec<Vec<f64>>>; 2]> {
    let run = |by_candle: bool| {
        let (x, r) = (
            Var::from_tensor(&rows(1, 4))?,
            Var::from_tensor(&rows(5, 3))?,
        );
        let matrix = x.pairwise_lp(if among { &x } else { &r }, 2.0)?;
        // What comes out of an operation of Candle's is no matrix that anybody knows.
        let matrix = if by_candle { (matrix * 1.0)? } else { matrix };
        assert_eq!(Counter::<f64>::of(&matrix).is_none(), by_candle);
        let store = of_matrix(&matrix)?.backward()?;
        let sides = if among { vec![&x] } else { vec![&x, &r] };
        sides
            .into_iter()
            .map(|side| Ok(store.get(side.as_tensor()).unwrap().to_vec2::<f64>()?))
            .collect::<Result<Vec<_>>>()
    };
    Ok([run(false)?, run(true)?])
}

fn assert_close(left: &[Vec<Vec<f64>>], right: &[Vec<Vec<f64>>]) {
    let flat = |x: &[Vec<Vec<f64>>]| x.iter().flatten().flatten().copied().collect::<Vec<f64>>();
    for (left, right) in flat(left).into_iter().zip(flat(right)) {
        assert!(
            (left - right).abs() < 1e-12 * (1.0 + right.abs()),
            "{left} {right}"
        );
    }
}

#[test]
fn gradients_are_those_of_candles_way_whoever_reads_the_matrix() -> Result<()> {
    for among in [false, true] {
        for (name, f) in [
            (
                "one",
                (|m| Ok(squares(m)?.sum_all()?)) as fn(&Tensor) -> Result<Tensor>,
            ),
            ("two", |m| {
                Ok((squares(m)?.sum_all()? + m.sum_within(Some(0.5), None)?.sum)?)
            }),
            ("candle", |m| {
                Ok((m.exp()?.sum_all()? + (squares(m)?.sum_all()? * 3.0)?)?)
            }),
            ("all", |m| Ok((m.sum_within(None, None)?.sum * 2.0)?)),
            ("picked", |m| {
                Ok(m.pick_entries(&[0, 2, 2], &[1, 0, 0])?.sqr()?.sum_all()?)
            }),
            ("smooth", |m| {
                Ok(m.masked_logsumexp(None, false)?.sum_all()?)
            }),
        ] {
            let [by_deposit, by_candle] = both_ways(f, among)?;
            println!("{name} {among}");
            assert_close(&by_deposit, &by_candle);
        }
    }
    Ok(())
}

#[test]
fn a_graph_can_be_walked_twice() -> Result<()> {
    let x = Var::from_tensor(&rows(1, 4))?;
    let loss = squares(&x.pairwise_dot(&x)?)?.sum_all()?;
    let gradient = || -> Result<_> {
        let store = loss.backward()?;
        Ok(store.get(x.as_tensor()).unwrap().to_vec2::<f64>()?)
    };
    assert_eq!(gradient()?, gradient()?);
    Ok(())
}

#[test]
fn what_a_pass_that_failed_has_left_changes_no_later_gradient() -> Result<()> {
    let x = Var::from_tensor(&rows(1, 4))?;
    let gradient = |loss: &Tensor| -> Result<_> {
        let store = loss.backward()?;
        Ok(store.get(x.as_tensor()).unwrap().to_vec2::<f64>()?)
    };
    let matrix = x.pairwise_dot(&x)?;
    let loss = squares(&matrix)?.sum_all()?;
    let undisturbed = gradient(&loss)?;
    let counter = Counter::<f64>::of(&matrix).unwrap();
    for _ in 0..3 {
        counter.deposit(PartialGradient::dense(vec![1.0; 16]));
        counter.deposit(PartialGradient::dense(vec![f64::NAN; 16]));
        assert_eq!(gradient(&loss)?, undisturbed);
    }
    assert!(counter.deposits.0.lock().unwrap().is_empty());
    Ok(())
}

#[test]
fn fewer_deposits_than_counted_are_an_error() {
    let error = Deposits::<f64>::new().withdraw(2).unwrap_err();
    let message = "expected 2 gradients of a matrix, got 0";
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn threads_go_backward_over_one_graph_at_the_same_time() -> Result<()> {
    let x = Var::from_tensor(&rows(1, 24))?;
    let matrix = x
        .normalize_rows(2.0)?
        .pairwise_lp(&x.normalize_rows(2.0)?, 2.0)?;
    let one = squares(&matrix)?.sum_all()?;
    let two = (squares(&matrix)?.sum_all()? + matrix.sum_within(Some(0.5), None)?.sum)?;
    let gradient = |loss: &Tensor| -> Result<_> {
        let store = loss.backward()?;
        Ok(store.get(x.as_tensor()).unwrap().to_vec2::<f64>()?)
    };
    let wanted = [gradient(&one)?, gradient(&two)?];
    std::thread::scope(|scope| {
        let work = |loss: Tensor, wanted: Vec<Vec<f64>>| {
            move || -> Result<()> {
                for _ in 0..300 {
                    assert_eq!(gradient(&loss)?, wanted);
                }
                Ok(())
            }
        };
        let threads: Vec<_> = [(&one, 0), (&two, 1), (&one, 0), (&two, 1)]
            .into_iter()
            .map(|(loss, i)| scope.spawn(work(loss.clone(), wanted[i].clone())))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap())
    })
}

#[test]
fn matrices_are_forgotten_with_their_last_tensor() -> Result<()> {
    let x = Var::from_tensor(&rows(1, 4))?;
    for _ in 0..10 {
        drop(x.pairwise_dot(&x)?);
    }
    let kept = x.pairwise_dot(&x)?;
    assert_eq!(COUNTERS.with(SideTable::len), 1);
    assert!(Counter::<f64>::of(&kept).is_some());
    assert!(Counter::<f32>::of(&kept).is_none());
    assert!(Counter::<f64>::of(&kept.detach()).is_none());
    let constant = x.as_tensor().detach();
    assert!(Counter::<f64>::of(&constant.pairwise_dot(&constant)?).is_none());
    assert_eq!(kept.dtype(), DType::F64);
    Ok(())
}

#[test]
fn another_thread_takes_candles_way_to_the_same_gradient() -> Result<()> {
    let x = Var::from_tensor(&rows(1, 4))?;
    let matrix = x.pairwise_dot(&x)?;
    let gradient = |loss: Tensor| -> Result<_> {
        let store = loss.backward()?;
        Ok(store.get(x.as_tensor()).unwrap().to_vec2::<f64>()?)
    };
    let here = gradient(squares(&matrix)?.sum_all()?)?;
    let there = std::thread::scope(|scope| {
        let there = scope.spawn(|| gradient(squares(&matrix)?.sum_all()?));
        there.join().unwrap()
    })?;
    assert_close(&[here], &[there]);
    Ok(())
}
