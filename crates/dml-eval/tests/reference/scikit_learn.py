"""Writes scikit_learn.json beside this file: what scikit-learn makes of clusters, scores, rankings, components and t-SNE.

    python scikit_learn.py          (needs numpy and scikit-learn; written with 1.9)
"""

import json
import pathlib

import numpy as np
from sklearn import decomposition, metrics, preprocessing
from sklearn.manifold import _t_sne as t_sne
from sklearn.manifold import _utils as t_sne_search

rng = np.random.default_rng(7)


def clusters(name, classes, clusters):
    homogeneity, completeness, v_measure = metrics.homogeneity_completeness_v_measure(classes, clusters)
    return {
        "name": name,
        "classes": [int(x) for x in classes],
        "clusters": [int(x) for x in clusters],
        "AMI": metrics.adjusted_mutual_info_score(classes, clusters),
        "NMI": metrics.normalized_mutual_info_score(classes, clusters),
        "ARI": metrics.adjusted_rand_score(classes, clusters),
        "homogeneity": homogeneity,
        "completeness": completeness,
        "v_measure": v_measure,
        "v_measure_beta_0.5": metrics.v_measure_score(classes, clusters, beta=0.5),
    }


def noisy(classes, share, count):
    drawn = rng.integers(0, count, len(classes))
    return np.where(rng.random(len(classes)) < share, drawn, classes)


def scores(name, scores, same):
    far, tar, thresholds = metrics.roc_curve(same, scores, drop_intermediate=False)
    precision, recall, _ = metrics.precision_recall_curve(same, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    accuracy = (tar * np.sum(same) + (1 - far) * np.sum(~same)) / len(same)
    return {
        "name": name,
        "scores": [float(x) for x in scores],
        "same": [bool(x) for x in same],
        "auc": metrics.roc_auc_score(same, scores),
        "false_accept_rates": far.tolist(),
        "true_accept_rates": tar.tolist(),
        "thresholds": thresholds[1:].tolist(),
        "best_f1": float(f1.max()),
        "best_accuracy": float(accuracy.max()),
    }


def ranking(name, hits):
    scores = np.arange(len(hits), 0, -1)
    return {
        "name": name,
        "hits": [bool(x) for x in hits],
        "ndcg": {str(k): metrics.ndcg_score([hits], [scores], k=k) for k in (1, 2, 3, 5, 10, 100)},
        "average_precision": metrics.average_precision_score(hits, scores),
    }


def components(name, rows, count):
    """Principal components of standardised rows; directions are known up to their sign."""
    rows = np.round(rows, 3)
    pca = decomposition.PCA(svd_solver="full").fit(rows)
    standard = preprocessing.StandardScaler().fit_transform(rows)
    of_standard = decomposition.PCA(count, svd_solver="full").fit(standard)
    ratio = np.cumsum(pca.explained_variance_ratio_)
    return {
        "name": name,
        "rows": rows.tolist(),
        "ratio": pca.explained_variance_ratio_.tolist(),
        "fraction": {str(s): (int(np.sum(ratio < s)) + 1) / rows.shape[1] for s in (0.5, 0.8, 0.95)},
        "projected": np.abs(of_standard.transform(standard)).tolist(),
    }


def neighborhoods(name, rows, perplexity, places):
    """What t-SNE makes of rows, and of places for them in the plane: its private functions, as the public ones give no more
    than the last places. Their entropies are right to 1e-5, their distances of single precision."""
    rows, places = np.round(rows, 3), np.round(places, 3)
    squared = metrics.pairwise_distances(rows, metric="sqeuclidean").astype(np.float32)
    joint = t_sne._joint_probabilities(squared, perplexity, 0)
    cost, gradient = t_sne._kl_divergence(places.ravel(), joint, 1, len(rows), 2)
    return {
        "name": name,
        "rows": rows.tolist(),
        "perplexity": perplexity,
        "conditional": t_sne_search._binary_search_perplexity(squared, perplexity, 0).tolist(),
        "places": places.tolist(),
        "cost": float(cost),
        "gradient": gradient.reshape(-1, 2).tolist(),
    }


balanced = np.repeat(np.arange(10), 40)
skewed = rng.geometric(0.2, 700) % 25
few, many = rng.integers(0, 3, 300), rng.integers(0, 60, 300)
far = np.concatenate([rng.normal(1.0, 1.0, 80), rng.normal(0.0, 1.0, 240)])
same = np.arange(320) < 80
reference = {
    "clusters": [
        clusters("balanced, a tenth moved", balanced, noisy(balanced, 0.1, 10)),
        clusters("balanced, most moved", balanced, noisy(balanced, 0.9, 10)),
        clusters("skewed sizes", skewed, noisy(skewed, 0.4, 30)),
        clusters("few classes in many clusters", few, many),
        clusters("many classes in few clusters", many, few),
        clusters("one cluster", few, np.zeros(300)),
        clusters("every row its own cluster", few, np.arange(300)),
        clusters("perfect, other names", balanced, 50 - 3 * balanced),
        clusters("negative labels", noisy(balanced, 0.3, 10) - 5, balanced),
        clusters("large", np.arange(3000) % 7, rng.integers(0, 9, 3000)),
    ],
    "scores": [
        scores("overlapping", far.astype(np.float32), same),
        scores("with many ties", np.round(far), same),
        scores("apart", np.concatenate([np.full(5, 2.0), np.arange(9) / 9]), np.arange(14) < 5),
        scores("upside down", -far, same),
    ],
    "rankings": [ranking(f"random {i}", np.append(rng.random(40) < p, True)) for i, p in enumerate((0.05, 0.3, 0.8))],
    "components": [
        components("tall", rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + 5, 3),
        components("wide", rng.normal(size=(8, 20)) * np.arange(1, 21), 4),
    ],
}
uneven = rng.normal(size=(12, 3)) * np.repeat([0.1, 1.0, 10.0], 4)[:, None]
reference["neighborhoods"] = [
    neighborhoods("uneven density", uneven, 3.0, rng.normal(size=(12, 2))),
    neighborhoods("nearly in one place", rng.normal(size=(20, 5)), 6.0, rng.normal(size=(20, 2)) * 0.01),
]
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(reference, separators=(",", ":")) + "\n")
