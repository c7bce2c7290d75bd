//! Components that do not exist, and their arguments.

use super::Case::{self, Set};

/// Components with arguments that they do not have or refuse.
pub(super) const COMPONENTS: [Case; 27] = [
    Set("loss=TripletLoss", "loss.name: expected one of AngularLoss"),
    Set(
        "loss=TripletLoss",
        "got TripletLoss; did you mean TripletMarginLoss?",
    ),
    Set(
        "loss.marign=1",
        "loss.marign: MultiSimilarityLoss has no field marign",
    ),
    Set(
        "loss={ name = \"TripletMarginLoss\", marign = 0.2 }",
        "loss.marign: TripletMarginLoss has no field marign: did you mean margin?",
    ),
    Set(
        "loss={ name = \"TripletMarginLoss\", margin = \"a\" }",
        "loss.margin: expected a number, got \"a\"",
    ),
    Set(
        "loss={ name = \"TripletMarginLoss\", swap = 1 }",
        "loss.swap: expected true or false, got 1",
    ),
    Set(
        "loss={ name = \"TripletMarginLoss\", distance = { name = \"Cosine\" } }",
        "loss.distance.name: expected one of BatchedDistance",
    ),
    Set(
        "loss={ name = \"TripletMarginLoss\", distance = { name = \"LpDistance\", p = -1 } }",
        "loss.distance.p: expected",
    ),
    Set(
        "loss={ name = \"TripletMarginLoss\", reducer = { name = \"ThresholdReducer\", lo = 1 } }",
        "loss.reducer.lo: ThresholdReducer has no field lo: did you mean low?",
    ),
    Set(
        "loss={ name = \"NTXentLoss\", temperature = 0 }",
        "loss.temperature: expected",
    ),
    Set(
        "loss={ name = \"VICRegLoss\", distance = { name = \"LpDistance\" } }",
        "loss.distance: VICRegLoss has no field distance",
    ),
    Set("loss=RankedListLoss", "loss: expected the field "),
    Set(
        "loss={ name = \"MultipleLosses\", losses = [{ name = \"ContrastiveLos\" }] }",
        "loss.losses.0.name: expected one of",
    ),
    Set(
        "loss={ name = \"ArcFaceLoss\", num_classes = 7 }",
        "loss.num_classes: the training data has 2, got 7",
    ),
    Set(
        "loss={ name = \"ArcFaceLoss\", embedding_size = 7 }",
        "loss.embedding_size: the embeddings have length 8, got 7",
    ),
    Set(
        "miner=BatchHardMinner",
        "miner.name: expected one of AngularMiner",
    ),
    Set(
        "miner={ epsilon = 0.1 }",
        "miner: expected the name of a component",
    ),
    Set(
        "miner={ name = \"TripletMarginMiner\", type_of_triplets = \"semi\" }",
        "miner.type_of_triplets: expected one of all, easy, hard, semihard, got semi",
    ),
    Set(
        "sampler=MPerClass",
        "sampler.name: expected one of FixedSetOfTriplets",
    ),
    Set("sampler.m=0", "sampler.m: expected"),
    Set(
        "sampler={ m = 4, batch_size = 10 }",
        "sampler.batch_size: expected a multiple of sampler.m",
    ),
    Set(
        "sampler={ m = 4, batch_size = 32 }",
        "sampler.batch_size: expected",
    ),
    Set(
        "optimizer=Adamw2",
        "optimizer.name: expected one of Adam, AdamW, SGD, got Adamw2; did you mean AdamW?",
    ),
    Set(
        "optimizer={ name = \"SGD\", betas = [0.9, 0.9] }",
        "optimizer.betas: SGD has no field betas",
    ),
    Set(
        "optimizer={ name = \"Adam\", betas = [0.9, 2] }",
        "optimizer.betas: expected",
    ),
    Set(
        "schedule=Cosin",
        "schedule.name: expected one of Constant, Cosine",
    ),
    Set(
        "schedule={ name = \"Step\" }",
        "schedule: expected the field size of Step, which has no default",
    ),
];
