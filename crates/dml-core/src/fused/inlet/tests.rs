use candle_core::{DType, Device, Var};

use super::*;
use crate::TensorExt;
use crate::fused::row_values;

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

/// The gradients of a function of a matrix with respect to both sides, once by inlets and once by Candle's way.
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
        assert_eq!(Inlet::<f64>::of(&matrix).is_none(), by_candle);
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
                Ok(m.pick(&[0, 2, 2], &[1, 0, 0])?.sqr()?.sum_all()?)
            }),
            ("smooth", |m| {
                Ok(m.masked_logsumexp(None, false)?.sum_all()?)
            }),
        ] {
            let [by_inlet, by_candle] = both_ways(f, among)?;
            println!("{name} {among}");
            assert_close(&by_inlet, &by_candle);
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
fn what_a_pass_that_failed_has_left_is_an_error_and_not_a_wrong_gradient() -> Result<()> {
    let x = Var::from_tensor(&rows(1, 4))?;
    let matrix = x.pairwise_dot(&x)?;
    let inlet = Inlet::<f64>::of(&matrix).unwrap();
    inlet.leave(Contribution::written_out(vec![1.0; 16]))?;
    let loss = squares(&matrix)?.sum_all()?;
    let error = loss.backward().unwrap_err().to_string();
    assert!(
        error.contains("1 gradients of a matrix were announced and 2 came"),
        "{error}"
    );
    // It was thrown away with that.
    assert!(loss.backward().is_ok());
    Ok(())
}

#[test]
fn matrices_are_forgotten_with_their_last_tensor() -> Result<()> {
    let x = Var::from_tensor(&rows(1, 4))?;
    for _ in 0..10 {
        drop(x.pairwise_dot(&x)?);
    }
    let kept = x.pairwise_dot(&x)?;
    assert_eq!(INLETS.with(ByTensor::len), 1);
    assert!(Inlet::<f64>::of(&kept).is_some());
    assert!(Inlet::<f32>::of(&kept).is_none());
    assert!(Inlet::<f64>::of(&kept.detach()).is_none());
    let constant = x.as_tensor().detach();
    assert!(Inlet::<f64>::of(&constant.pairwise_dot(&constant)?).is_none());
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
