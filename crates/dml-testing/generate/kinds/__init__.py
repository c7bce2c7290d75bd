"""What a kind of cases is: the components it has, recipes for their cases, and what the reference answers.

A module of this package has `names()`, `recipes(name)` and `evaluate(case, dtype)`; its name is the kind's.
"""

from kinds import (
    accuracy,
    distance,
    error,
    inference,
    init_property,
    loss,
    miner,
    miner_property,
    pipeline,
    reducer,
    regularizer,
    sampler_property,
    tuples,
    tuples_property,
)

KINDS = {
    module.__name__.removeprefix("kinds."): module
    for module in (
        accuracy,
        distance,
        error,
        inference,
        init_property,
        loss,
        miner,
        miner_property,
        pipeline,
        reducer,
        regularizer,
        sampler_property,
        tuples,
        tuples_property,
    )
}
