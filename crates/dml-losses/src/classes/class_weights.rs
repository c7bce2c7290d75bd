//! What losses over classes learn: a vector for each class, or for each of its centres.

use candle_core::{Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::{Batch, Distance, Labels, Result, check};

use crate::WeightInit;
use crate::machinery::transposed::transposed;

/// How the vectors lie in the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `[dim, vectors]`.
    Columns,
    /// `[vectors, dim]`.
    Rows,
}

/// What the vectors are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classes {
    /// The loss that learns them.
    pub(crate) component: &'static str,
    pub(crate) num_classes: usize,
    /// Vectors of each class, one after the other.
    pub(crate) centers: usize,
    pub(crate) dim: usize,
}

/// A learned vector for each class or centre.
#[derive(Clone, Debug)]
pub(crate) struct ClassWeights {
    classes: Classes,
    layout: Layout,
    name: &'static str,
    var: Var,
}

impl Classes {
    /// One vector for each class.
    pub(crate) fn new(component: &'static str, num_classes: usize, dim: usize) -> Self {
        Self {
            component,
            num_classes,
            centers: 1,
            dim,
        }
    }
}

impl ClassWeights {
    pub(crate) fn new(
        classes: Classes,
        layout: Layout,
        name: &'static str,
        init: Option<WeightInit>,
        vars: &VarBuilder<'_>,
    ) -> Result<Self> {
        check::at_least_one("num_classes", classes.num_classes)?;
        check::at_least_one("embedding_size", classes.dim)?;
        let sizes = [classes.num_classes, classes.centers, classes.dim];
        check::elements("weights of the classes", &sizes, check::PARAMETER)?;
        let init = init.unwrap_or(WeightInit::STANDARD_NORMAL);
        let vectors = classes.num_classes * classes.centers;
        let shape = match layout {
            Layout::Columns => (classes.dim, vectors),
            Layout::Rows => (vectors, classes.dim),
        };
        Ok(Self {
            classes,
            layout,
            name,
            var: init.variable(vars, shape, name)?,
        })
    }

    /// The loss that learns them.
    pub(crate) fn component(&self) -> &'static str {
        self.classes.component
    }

    pub(crate) fn num_classes(&self) -> usize {
        self.classes.num_classes
    }

    pub(crate) fn var(&self) -> &Var {
        &self.var
    }

    pub(crate) fn parameters(&self) -> Vec<(String, Var)> {
        vec![(self.name.to_owned(), self.var.clone())]
    }

    /// `[vectors, dim]`, in the precision of the variable.
    pub(crate) fn rows(&self) -> Result<Tensor> {
        match self.layout {
            Layout::Columns => transposed(&self.var),
            Layout::Rows => Ok(self.var.as_tensor().clone()),
        }
    }

    /// `[vectors, dim]`, in the precision of embeddings of that width.
    pub(crate) fn rows_for(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.check_width(embeddings)?;
        Ok(self.rows()?.to_dtype(embeddings.dtype())?)
    }

    /// Each embedding with each vector: `[rows, vectors]`.
    pub(crate) fn compared(&self, distance: &dyn Distance, embeddings: &Tensor) -> Result<Tensor> {
        let vectors = self.rows_for(embeddings)?;
        let sizes = [embeddings.dims()[0], vectors.dims()[0]];
        let bytes = usize::from(embeddings.device().is_cpu()) * embeddings.dtype().size_in_bytes();
        check::elements("similarities [rows, classes]", &sizes, bytes)?;
        distance.matrix(embeddings, Some(&vectors))
    }

    pub(crate) fn check_width(&self, embeddings: &Tensor) -> Result<()> {
        let fits = embeddings.rank() == 2 && embeddings.dims()[1] == self.classes.dim;
        let expected = "[rows, dim] with as many columns as the weights of a class";
        check::shape(fits, "embeddings", embeddings, expected)
    }

    /// The class of each row, all of them known; an error for a reference set, which these losses have no use for.
    pub(crate) fn own_classes(&self, batch: &Batch) -> Result<Vec<u32>> {
        let component = self.classes.component;
        check::unweighted(component, batch)?;
        let reason = "rows are compared with classes: there is no place for a reference set";
        check::supported(batch.reference().is_none(), component, reason)?;
        let labels = check::present(batch.labels(), component, "labels")?;
        self.check_width(batch.embeddings())?;
        self.classes_of(labels)
    }

    /// The class that each label names.
    pub(crate) fn classes_of(&self, labels: &Labels) -> Result<Vec<u32>> {
        let class =
            |(position, label): (usize, &i64)| check::class(position, *label, self.num_classes());
        labels.as_slice().iter().enumerate().map(class).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededVars;
    use candle_core::{DType, Device};
    use dml_core::Error;

    fn weights(layout: Layout) -> Result<ClassWeights> {
        let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
        let classes = Classes {
            component: "Test",
            num_classes: 2,
            centers: 2,
            dim: 3,
        };
        ClassWeights::new(classes, layout, "W", None, &vars)
    }

    #[test]
    fn both_layouts_have_one_row_for_each_centre() -> Result<()> {
        for (layout, shape) in [(Layout::Columns, [3, 4]), (Layout::Rows, [4, 3])] {
            let weights = weights(layout)?;
            assert_eq!(weights.parameters()[0].1.dims(), shape);
            assert_eq!(weights.rows()?.dims(), [4, 3]);
            let wide = Tensor::zeros((1, 3), DType::F64, &Device::Cpu)?;
            assert_eq!(weights.rows_for(&wide)?.dtype(), DType::F64);
        }
        Ok(())
    }

    #[test]
    fn labels_are_classes_that_exist() -> Result<()> {
        let weights = weights(Layout::Rows)?;
        let rows = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;
        assert_eq!(weights.own_classes(&Batch::new(&rows, [1i64, 0])?)?, [1, 0]);
        for (labels, position) in [([1i64, 2], 1), ([-1, 0], 0)] {
            let error = weights
                .own_classes(&Batch::new(&rows, labels)?)
                .unwrap_err();
            assert!(
                matches!(error, Error::Index { arg: "labels", position: got, limit: 2, .. } if got == position)
            );
        }
        let unlabeled = weights.own_classes(&Batch::unlabeled(&rows)?);
        assert!(matches!(
            unlabeled,
            Err(Error::Missing {
                component: "Test",
                ..
            })
        ));
        let referring = Batch::new(&rows, [0i64, 1])?.with_reference(&rows, [0i64, 1])?;
        assert!(matches!(
            weights.own_classes(&referring),
            Err(Error::Unsupported { .. })
        ));
        let narrow = Tensor::zeros((2, 2), DType::F32, &Device::Cpu)?;
        let narrow = weights.own_classes(&Batch::new(&narrow, [0i64, 1])?);
        assert!(matches!(
            narrow,
            Err(Error::Shape {
                arg: "embeddings",
                ..
            })
        ));
        Ok(())
    }
}
