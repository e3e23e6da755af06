"""Metric names that imply whether lower or higher is better, matched by whole words."""

from __future__ import annotations

import re
from typing import Literal

# Whether higher or lower values of a metric are better.
Direction = Literal["max", "min"]

SMALL = frozenset(
    {
        # losses and divergences
        "loss", "losses", "logloss", "mlogloss", "multilogloss", "nll", "nlls", "ce", "bce",
        "xent", "xentropy", "crossentropy", "hinge", "huber", "pinball", "kl", "kld", "kldiv",
        "jsd", "divergence", "perplexity", "ppl", "pplx", "bpc", "bpb", "bpd", "bpp", "bits",
        "nats", "residual", "residuals", "penalty", "cost", "costs", "regret", "energy",
        "stress", "inertia",
        # errors
        "error", "errors", "err", "errs", "merror", "mistakes", "mistake", "mae", "mse", "rmse",
        "nrmse", "absrel", "sqrel", "silog", "winkler", "hter", "nmse", "msle", "rmsle", "mape",
        "smape", "wmape", "mdape", "wape", "mase", "rmsse", "medae", "maxae", "mad", "rse",
        "rae", "rrse", "sse", "sae", "msd", "rmsd", "misclassification", "wer", "cer", "mer",
        "ter", "der", "eer", "per", "fpr", "fnr", "fdr", "far", "frr", "fp", "fn", "miss",
        "misses", "ece", "mce", "sce", "adaece", "brier", "crps", "nlpd", "toxicity",
        "hallucination", "hallucinations", "violation", "violations", "failure", "failures",
        "fail", "fails", "collision", "collisions", "failed", "crashes", "timeouts",
        "rejections", "outliers", "drawdown", "degradation", "gap", "jer", "wil", "nmae", "aepe",
        "tdcf", "fallout",
        # distances
        "distance", "distances", "dist", "wasserstein", "swd", "emd", "mmd", "hausdorff", "hd95",
        "chamfer", "assd", "asd", "epe", "ate", "rpe", "ade", "fde", "mpjpe", "fid", "kid",
        "fad", "fvd", "lpips", "dists", "niqe", "brisque", "piqe", "mcd", "distortion", "ergas",
        # criteria of models
        "aic", "aicc", "bic", "dic", "waic", "looic", "hqic", "mdl", "deviance",
        # resources
        "time", "times", "duration", "durations", "latency", "latencies", "runtime", "walltime",
        "cputime", "elapsed", "seconds", "second", "secs", "sec", "ms", "millis", "milliseconds",
        "us", "ns", "minutes", "hours", "delay", "lag", "jitter", "overhead", "wait", "stall",
        "stalls", "ttft", "tpot", "itl", "eta", "memory", "ram", "mem", "vram", "rss", "power",
        "watts", "joules", "kwh", "emissions", "co2", "price", "usd", "dollars",
    }
)  # fmt: skip
LARGE = frozenset(
    {
        # classification and ranking
        "acc", "accs", "accuracy", "accuracies", "correct", "precision", "prec", "recall", "f1",
        "f2", "fbeta", "fscore", "fmeasure", "sensitivity", "specificity", "tpr", "tnr", "ppv",
        "npv", "tp", "tn", "auc", "aucs", "auroc", "rocauc", "roc", "auprc", "aupr", "aucpr",
        "prauc", "ap", "aps", "map", "mar", "ar", "ap50", "ap75", "mrr", "ndcg", "dcg", "hits",
        "hit", "hr", "top1", "top3", "top5", "top10", "kappa", "qwk", "mcc", "matthews",
        "youden", "gmean", "lift", "ctr", "em", "gain", "gains",
        # overlap and agreement
        "iou", "miou", "fwiou", "giou", "jaccard", "dice", "dsc", "pq", "mota", "motp", "idf1",
        "hota", "pck", "oks", "nmi", "ari", "ami", "homogeneity", "completeness", "vmeasure",
        "silhouette", "calinski", "purity", "modularity", "similarity", "cossim", "agreement",
        "coverage", "consistency", "diversity", "fidelity",
        # fit
        "r2", "d2", "rsquared", "r2score", "adjr2", "evs", "nse", "kge", "corr", "correlation",
        "pearson", "pearsonr", "spearmanr", "spearman", "kendall", "pcc", "plcc", "srcc", "krcc",
        "ccc", "concordance", "cindex", "elbo", "likelihood", "loglikelihood", "loglik", "ll",
        "logprob", "logp", "evidence",
        # text, speech, pictures
        "bleu", "sacrebleu", "chrf", "chrfpp", "rouge", "rougel", "rougelsum", "meteor", "cider",
        "spice", "bertscore", "bleurt", "sari", "spider", "comet", "exactmatch", "psnr", "ssim",
        "msssim", "vmaf", "pesq", "stoi", "estoi", "mos", "snr", "sdr", "sisdr", "sisnr",
        "sisdri", "squad", "uptime", "lifetime", "survival",
        # rewards
        "reward", "rew", "rewards", "return", "returns", "win", "wins", "winrate", "success",
        "successes", "solved", "passed", "utility", "profit", "pnl", "revenue", "sharpe",
        "sortino", "calmar", "elo", "fitness", "improvement", "improvements", "savings", "yield",
        "quality", "reliability", "availability",
        # speed
        "throughput", "speed", "speedup", "fps", "qps", "tps", "iops", "tflops", "bandwidth",
        "mfu", "hfu", "utilization", "utilisation", "util", "goodput",
    }
)  # fmt: skip
# Word sequences whose meaning differs from that of their words; the longest one counts.
PHRASES: dict[str, Direction] = {
    "cross entropy": "min",
    "log loss": "min",
    "log likelihood": "max",
    "log prob": "max",
    "log probability": "max",
    "mutual information": "max",
    "information gain": "max",
    "explained variance": "max",
    "explained var": "max",
    "mean rank": "min",
    "median rank": "min",
    "top 1": "max",
    "top 5": "max",
    "p 1": "max",
    "p 5": "max",
    "p 10": "max",
    "r 1": "max",
    "r 5": "max",
    "r 10": "max",
    "r squared": "max",
    "r 2": "max",
    "f 1": "max",
    "f score": "max",
    "f measure": "max",
    "c index": "max",
    "rand index": "max",
    "inception score": "max",
    "exact match": "max",
    "area under": "max",
    "davies bouldin": "min",
    "smooth l1": "min",
    "hamming": "min",
    "l1": "min",
    "l2": "min",
    "mean squared": "min",
    "mean absolute": "min",
    "zero one": "min",
    "false positive": "min",
    "false positives": "min",
    "false negative": "min",
    "false negatives": "min",
    "false discovery": "min",
    "false alarm": "min",
    "false alarms": "min",
    "true positive": "max",
    "true positives": "max",
    "true negative": "max",
    "true negatives": "max",
    "positive predictive": "max",
    "negative predictive": "max",
    "win rate": "max",
    "hit rate": "max",
    "pass rate": "max",
    "miss rate": "min",
    "time to failure": "max",
    "time between failures": "max",
    "survival time": "max",
    "wall clock": "min",
    "gpu hours": "min",
    "signal to noise": "max",
    "success weighted": "max",
    "pass at": "max",
    "word error": "min",
    "edit distance": "min",
    "error rate": "min",
    "edit rate": "min",
    "fall out": "min",
    "info lost": "min",
    "info preserved": "max",
    "spectral angle": "min",
    "ranked probability": "min",
    "patch similarity": "min",
    "texture similarity": "min",
    "signal distortion": "max",
    "signal noise": "max",
    "reciprocal rank": "max",
    "quality index": "max",
    "critical success index": "max",
    "v measure": "max",
    "fowlkes mallows": "max",
    "mallows index": "max",
    "acc norm": "max",
    "dunn index": "max",
    "jaccard index": "max",
    "concordance index": "max",
    "dice coefficient": "max",
    "corr coef": "max",
    "correlation coefficient": "max",
    # Explained fractions of a deviance, like r2.
    "d2 absolute error": "max",
    "d2 brier": "max",
    "d2 log loss": "max",
    "d2 pinball": "max",
}
# Words that count only if no other does.
WEAK: dict[str, Direction] = {
    **dict.fromkeys(("score", "scores", "rating", "pass"), "max"),
    # benchmarks of language models
    **dict.fromkeys(
        (
            "mmlu", "gsm8k", "hellaswag", "humaneval", "mbpp", "winogrande", "piqa", "boolq",
            "arc", "truthfulqa", "bbh", "glue", "superglue",
        ),
        "max",
    ),
}  # fmt: skip
# Words that reverse the direction of the words before or after them.
TURNING_ENDS = frozenset({"drop", "decrease", "reduction"})
TURNING_BEGINS = frozenset({"neg", "negative", "minus", "negated", "inverse", "inv"})
# At the end of a name, these make it a number of another kind, with an unknown direction.
NEUTRAL = frozenset(
    {
        "scale", "weight", "weights", "coef", "coefficient", "count", "counts", "norm", "norms",
        "lr", "step", "steps", "timestep", "timesteps", "epoch", "epochs", "iteration",
        "iterations", "lambda", "beta", "alpha", "gamma", "threshold", "std", "stddev", "stderr",
        "sem", "var", "variance", "size", "length", "id", "index", "budget", "limit",
    }
)  # fmt: skip
# Suffixes added by Lightning: the value of a step, and the mean of an epoch.
_OF_WHICH = frozenset({"step", "epoch"})
# Before these suffixes, an event in that step, or its time.
_EVENTS = frozenset(
    {
        "time", "times", "wait", "delay", "lag", "stall", "fail", "fails", "failed", "failure",
        "success", "solved", "passed", "pass", "win", "hit", "miss", "collision",
    }
)  # fmt: skip
_QUALIFYING = ("train", "training", "val", "valid", "validation", "test", "eval", "dev")
_PER_TIME = frozenset(
    {"s", "sec", "secs", "second", "seconds", "min", "minute", "h", "hour", "day", "ms"}
)
_UNITS_OF_WORK = frozenset(
    {"it", "iter", "step", "batch", "epoch", "sample", "token", "tok", "image", "img", "request"}
)
_PER = "per"
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_LONGEST_PHRASE = 3


def direction_of(name: str) -> Direction | None:
    """Return whether lower or higher is better for a metric, from the words of its name.

    The last part between slashes counts first, and in it the last known word: `loss/acc` is an
    accuracy, `accuracy_loss` a loss.

    Returns:
        `min`, `max`, or None if the name is inconclusive.
    """
    parts = [words for part in name.split("/") if (words := _words(part))]
    if len(parts) > 1 and (speed := _of_speed(parts[-2], parts[-1])):
        return speed
    for words in reversed(parts):
        found = _of_words(words)
        if found is not None or words[-1] in NEUTRAL:
            return found
    return None


def _of_speed(above: list[str], below: list[str]) -> Direction | None:
    """Return the direction of `it/s` and of `s/it`."""
    if len(below) != 1:
        return None
    if below[0] in _PER_TIME and above[-1] in {
        *_UNITS_OF_WORK,
        *(f"{one}s" for one in _UNITS_OF_WORK),
    }:
        return "max"
    return "min" if below[0] in _UNITS_OF_WORK and above[-1] in _PER_TIME else None


def _words(part: str) -> list[str]:
    """Split a name into words; `valLoss` has two, `mIoU` is a known word."""
    found: list[str] = []
    for word in _WORD.findall(part):
        known = _known_form(word.lower())
        if known is not None:
            found += known
            continue
        pieces = [one.lower() for one in _CAMEL.findall(word)]
        for piece in pieces if len(pieces) > 1 else [word.lower()]:
            found += _known_form(piece) or [piece]
    return found


def _known_form(word: str) -> list[str] | None:
    """Return a word in its listed form: `bleu4` is `bleu`, `valloss` is two words."""
    if _is_known(word):
        return [word]
    bare = word.rstrip("0123456789")
    if bare != word and len(bare) > 1 and _is_known(bare):
        return [bare]
    for start in _QUALIFYING:
        rest = word.removeprefix(start)
        if rest != word and _is_known(rest):
            return [start, rest]
    return None


def _is_known(word: str) -> bool:
    return word in SMALL or word in LARGE or word in WEAK or word in NEUTRAL or word in PHRASES


def _of_words(words: list[str]) -> Direction | None:
    if _PER in words[1:-1]:
        return _of_rate(words)
    if words[-1] in TURNING_ENDS:
        return _turned(_of_words(words[:-1])) if words[:-1] else None
    if words[-1] in NEUTRAL:
        return _phrase_at(words, len(words) - 1) or _of_step_or_epoch(words)
    if words[:2] == ["time", "to"] and words[2:] != ["failure"]:
        return "min"  # any target
    for place, word in enumerate(words[:-1]):
        if word in TURNING_BEGINS and not _phrase_at(words, place):
            return _turned(_of_words(words[place + 1 :]))
    return _last_known(words)


def _of_step_or_epoch(words: list[str]) -> Direction | None:
    """Return the direction of `train_loss_epoch`; `best_loss_epoch` is an epoch, not a loss."""
    *metric, end = words
    if end not in _OF_WHICH or not metric or metric[-1] in _EVENTS or "best" in metric:
        return None
    is_named = any(metric[-1] in words for words in (SMALL, LARGE, WEAK))
    return _of_words(metric) if is_named or _phrase_at(metric, len(metric) - 1) else None


def _of_rate(words: list[str]) -> Direction | None:
    """Return the direction of `tokens_per_second` and of `seconds_per_step`."""
    place = len(words) - 1 - words[::-1].index(_PER)
    above, below = words[:place], words[place + 1 :]
    found = _last_known(above)
    if below[-1] not in _PER_TIME:
        return found
    # Errors and costs per second remain bad; anything else is speed.
    return "min" if found == "min" else "max"


def _turned(direction: Direction | None) -> Direction | None:
    return None if direction is None else "max" if direction == "min" else "min"


def _last_known(words: list[str]) -> Direction | None:
    weak = None
    for place in range(len(words) - 1, -1, -1):
        phrase = _phrase_at(words, place)
        if phrase is not None:
            return phrase
        word = words[place]
        if word in SMALL:
            return "min"
        if word in LARGE:
            return "max"
        weak = weak or WEAK.get(word)
    return weak


def _phrase_at(words: list[str], place: int) -> Direction | None:
    """Return the direction of the longest phrase that includes the word at this index."""
    for length in range(_LONGEST_PHRASE, 0, -1):
        for begin in range(max(0, place - length + 1), place + 1):
            if begin + length <= len(words):
                found = PHRASES.get(" ".join(words[begin : begin + length]))
                if found is not None:
                    return found
    return None


def kept_for(kept: dict[str, Direction], metric: str) -> Direction | None:
    """Return the stored direction for a metric; that of `fid` applies to `val/fid` as well."""
    while metric not in kept and "/" in metric:
        metric = metric.partition("/")[2]
    return kept.get(metric)
