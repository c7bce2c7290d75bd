//! Every method of every trait reaches the implementor through a pointer, also those that have a default.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};

use crate::{
    Batch, CheckpointError, ClassLoss, Dataset, Distance, DistanceKind, Examples, IntoLabels,
    Labels, Loss, Miner, Optimizer, Order, Reduced, Reducer, Regularizer, Result, Sampler,
    SeedSequence, Term, Terms, Tuples,
};

/// Implements every trait, overrides every method, and writes down which were called.
#[derive(Debug)]
struct Probe {
    calls: Mutex<Vec<&'static str>>,
    labels: Labels,
}

impl Probe {
    fn new() -> Self {
        Self {
            calls: Mutex::default(),
            labels: [0i64].into_labels().unwrap(),
        }
    }

    fn note(&self, method: &'static str) {
        self.calls.lock().unwrap().push(method);
    }

    fn note_tensor(&self, method: &'static str) -> Result<Tensor> {
        self.note(method);
        Ok(tensor())
    }

    fn reduced(&self, method: &'static str) -> Result<Reduced> {
        Ok(Reduced::new(self.note_tensor(method)?, 0, 0))
    }

    fn noted(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

fn tensor() -> Tensor {
    Tensor::zeros((1, 1), DType::F32, &Device::Cpu).unwrap()
}

fn batch() -> Batch {
    Batch::new(&tensor(), [0i64]).unwrap()
}

/// Calls `$check` through each kind of pointer to `$trait`, and compares the calls that arrive with `$methods`.
macro_rules! assert_forwards {
    ($trait:ident, $check:expr, $methods:expr) => {{
        let probe = Arc::new(Probe::new());
        let shared: Arc<dyn $trait> = probe.clone();
        let boxed: Box<dyn $trait> = Box::new(probe.clone());
        let borrowed: &dyn $trait = &*probe;
        $check(&shared)?;
        assert_eq!(probe.noted(), $methods, "through an Arc");
        $check(&boxed)?;
        assert_eq!(probe.noted(), $methods, "through a Box");
        $check(&borrowed)?;
        assert_eq!(probe.noted(), $methods, "through a reference");
    }};
}

impl Distance for Probe {
    fn matrix(&self, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.note_tensor("matrix")
    }
    fn order(&self) -> Order {
        self.note("order");
        Order::LargerIsCloser
    }
    fn kind(&self) -> DistanceKind {
        self.note("kind");
        DistanceKind::Other
    }
    fn parameters(&self) -> Vec<(String, Var)> {
        self.note("parameters");
        Vec::new()
    }
    fn prepare(&self, _: &Tensor) -> Result<Tensor> {
        self.note_tensor("prepare")
    }
    fn norms(&self, _: &Tensor) -> Result<Tensor> {
        self.note_tensor("norms")
    }
    fn pairs(&self, _: &Tensor, _: &Tensor) -> Result<Tensor> {
        self.note_tensor("pairs")
    }
    fn raw_pairs(&self, _: &Tensor, _: &Tensor) -> Result<Tensor> {
        self.note_tensor("raw_pairs")
    }
    fn gap(&self, _: &Tensor, _: &Tensor) -> Result<Tensor> {
        self.note_tensor("gap")
    }
    fn closer(&self, _: &Tensor, _: &Tensor) -> Result<Tensor> {
        self.note_tensor("closer")
    }
}

#[test]
fn distances_are_forwarded() -> Result<()> {
    fn check(distance: &impl Distance) -> Result<()> {
        let x = &tensor();
        distance.matrix(x, None)?;
        distance.order();
        distance.kind();
        distance.parameters();
        distance.prepare(x)?;
        distance.norms(x)?;
        distance.pairs(x, x)?;
        distance.raw_pairs(x, x)?;
        distance.gap(x, x)?;
        distance.closer(x, x)?;
        Ok(())
    }
    let methods = [
        "matrix",
        "order",
        "kind",
        "parameters",
        "prepare",
        "norms",
        "pairs",
        "raw_pairs",
        "gap",
        "closer",
    ];
    assert_forwards!(Distance, check, methods);
    Ok(())
}

impl Loss for Probe {
    fn terms(&self, _: &Batch, _: &Tuples) -> Result<Terms> {
        self.note("terms");
        Ok(Terms::default())
    }
    fn parameters(&self) -> Vec<(String, Var)> {
        self.note("parameters");
        Vec::new()
    }
    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        self.note("buffers");
        Ok(Vec::new())
    }
    fn set_buffers(&self, _: &HashMap<String, Tensor>) -> Result<()> {
        self.note("set_buffers");
        Ok(())
    }
    fn seeds(&self) -> Vec<SeedSequence> {
        self.note("seeds");
        Vec::new()
    }
    fn takes_reference(&self) -> bool {
        self.note("takes_reference");
        true
    }
    fn reads_classes(&self) -> bool {
        self.note("reads_classes");
        true
    }
    fn takes_tuples(&self) -> bool {
        self.note("takes_tuples");
        true
    }
    fn reads_relation(&self) -> bool {
        self.note("reads_relation");
        true
    }
    fn reads_weights(&self) -> bool {
        self.note("reads_weights");
        true
    }
    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        self.note("as_class_loss");
        None
    }
}

#[test]
fn losses_are_forwarded() -> Result<()> {
    fn check(loss: &impl Loss) -> Result<()> {
        loss.terms(&batch(), &Tuples::all())?;
        loss.parameters();
        loss.buffers()?;
        loss.set_buffers(&HashMap::new())?;
        loss.seeds();
        loss.takes_reference();
        loss.reads_classes();
        loss.takes_tuples();
        loss.reads_relation();
        loss.reads_weights();
        loss.as_class_loss();
        Ok(())
    }
    let methods = [
        "terms",
        "parameters",
        "buffers",
        "set_buffers",
        "seeds",
        "takes_reference",
        "reads_classes",
        "takes_tuples",
        "reads_relation",
        "reads_weights",
        "as_class_loss",
    ];
    assert_forwards!(Loss, check, methods);
    Ok(())
}

impl ClassLoss for Probe {
    fn logits(&self, _: &Tensor) -> Result<Tensor> {
        self.note_tensor("logits")
    }
    fn class_rows(&self) -> Result<Tensor> {
        self.note_tensor("class_rows")
    }
}

#[test]
fn class_losses_are_forwarded() -> Result<()> {
    fn check(loss: &impl ClassLoss) -> Result<()> {
        loss.logits(&tensor())?;
        loss.class_rows()?;
        Ok(())
    }
    assert_forwards!(ClassLoss, check, ["logits", "class_rows"]);
    Ok(())
}

impl Miner for Probe {
    fn mine(&self, _: &Batch) -> Result<Tuples> {
        self.note("mine");
        Ok(Tuples::all())
    }
    fn mine_among(&self, _: &Batch, _: &Tuples) -> Result<Tuples> {
        self.note("mine_among");
        Ok(Tuples::all())
    }
    fn seeds(&self) -> Vec<SeedSequence> {
        self.note("seeds");
        Vec::new()
    }
}

#[test]
fn miners_are_forwarded() -> Result<()> {
    fn check(miner: &impl Miner) -> Result<()> {
        miner.mine(&batch())?;
        miner.mine_among(&batch(), &Tuples::all())?;
        miner.seeds();
        Ok(())
    }
    assert_forwards!(Miner, check, ["mine", "mine_among", "seeds"]);
    Ok(())
}

impl Reducer for Probe {
    fn reduce_term(&self, _: &Term, _: &Batch) -> Result<Reduced> {
        self.reduced("reduce_term")
    }
    fn reduce(&self, _: &Terms, _: &Batch) -> Result<Reduced> {
        self.reduced("reduce")
    }
    fn reduce_each(&self, _: &Terms, _: &Batch) -> Result<Vec<(&'static str, Reduced)>> {
        self.note("reduce_each");
        Ok(Vec::new())
    }
    fn reduce_any(&self, _: &Term, _: &Batch) -> Result<Reduced> {
        self.reduced("reduce_any")
    }
}

#[test]
fn reducers_are_forwarded() -> Result<()> {
    fn check(reducer: &impl Reducer) -> Result<()> {
        let (term, batch) = (Term::empty("loss"), batch());
        reducer.reduce_term(&term, &batch)?;
        reducer.reduce(&term.clone().into(), &batch)?;
        reducer.reduce_each(&term.clone().into(), &batch)?;
        reducer.reduce_any(&term, &batch)?;
        Ok(())
    }
    let methods = ["reduce_term", "reduce", "reduce_each", "reduce_any"];
    assert_forwards!(Reducer, check, methods);
    Ok(())
}

impl Regularizer for Probe {
    fn penalty(&self, _: &Tensor) -> Result<Tensor> {
        self.note_tensor("penalty")
    }
}

#[test]
fn regularizers_are_forwarded() -> Result<()> {
    fn check(regularizer: &impl Regularizer) -> Result<()> {
        regularizer.penalty(&tensor())?;
        Ok(())
    }
    assert_forwards!(Regularizer, check, ["penalty"]);
    Ok(())
}

impl Sampler for Probe {
    fn epoch(&self, _: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        self.note("epoch");
        Box::new(std::iter::empty())
    }
    fn batches(&self) -> usize {
        self.note("batches");
        0
    }
    fn state(&self) -> Option<Vec<f64>> {
        self.note("state");
        None
    }
    fn set_state(&self, _: &[f64]) -> Result<()> {
        self.note("set_state");
        Ok(())
    }
}

#[test]
fn samplers_are_forwarded() -> Result<()> {
    fn check(sampler: &impl Sampler) -> Result<()> {
        drop(sampler.epoch(0));
        sampler.batches();
        sampler.state();
        sampler.set_state(&[])
    }
    let methods = ["epoch", "batches", "state", "set_state"];
    assert_forwards!(Sampler, check, methods);
    Ok(())
}

impl Dataset for Probe {
    fn labels(&self) -> &Labels {
        self.note("labels");
        &self.labels
    }
    fn fetch(&self, rows: &[usize], _: u64) -> Result<Examples> {
        self.note("fetch");
        Examples::new(tensor(), rows, &self.labels)
    }
    fn len(&self) -> usize {
        self.note("len");
        1
    }
    fn is_empty(&self) -> bool {
        self.note("is_empty");
        false
    }
}

#[test]
fn datasets_are_forwarded() -> Result<()> {
    fn check(dataset: &impl Dataset) -> Result<()> {
        dataset.labels();
        dataset.fetch(&[0], 0)?;
        dataset.len();
        dataset.is_empty();
        Ok(())
    }
    assert_forwards!(Dataset, check, ["labels", "fetch", "len", "is_empty"]);
    Ok(())
}

/// An optimiser changes itself, and has a probe to write to.
#[derive(Debug)]
struct Steps(Arc<Probe>);

impl Optimizer for Steps {
    fn step(&mut self, _: &GradStore) -> Result<()> {
        self.0.note("step");
        Ok(())
    }
    fn learning_rate(&self) -> f64 {
        self.0.note("learning_rate");
        0.0
    }
    fn set_learning_rate(&mut self, _: f64) {
        self.0.note("set_learning_rate");
    }
    fn state(&self) -> Result<HashMap<String, Tensor>> {
        self.0.note("state");
        Ok(HashMap::new())
    }
    fn load_state(
        &mut self,
        _: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), CheckpointError> {
        self.0.note("load_state");
        Ok(())
    }
    fn save(&self, _: &Path) -> std::result::Result<(), CheckpointError> {
        self.0.note("save");
        Ok(())
    }
    fn load(&mut self, _: &Path) -> std::result::Result<(), CheckpointError> {
        self.0.note("load");
        Ok(())
    }
}

#[test]
fn optimizers_are_forwarded() -> Result<()> {
    fn check(mut optimizer: impl Optimizer) -> Result<()> {
        let gradients = Var::zeros((), DType::F32, &Device::Cpu)?.backward()?;
        optimizer.step(&gradients)?;
        optimizer.learning_rate();
        optimizer.set_learning_rate(0.0);
        optimizer.state()?;
        optimizer.load_state(&HashMap::new()).unwrap();
        optimizer.save(Path::new("")).unwrap();
        optimizer.load(Path::new("")).unwrap();
        Ok(())
    }
    let methods = [
        "step",
        "learning_rate",
        "set_learning_rate",
        "state",
        "load_state",
        "save",
        "load",
    ];
    let probe = Arc::new(Probe::new());
    let boxed: Box<dyn Optimizer> = Box::new(Steps(probe.clone()));
    check(boxed)?;
    assert_eq!(probe.noted(), methods, "through a Box");
    let borrowed: &mut dyn Optimizer = &mut Steps(probe.clone());
    check(borrowed)?;
    assert_eq!(probe.noted(), methods, "through a reference");
    Ok(())
}
