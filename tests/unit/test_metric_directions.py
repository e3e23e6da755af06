"""The words of a metric's name say whether small or large values are better."""

import pytest

from runstore.model.metric_directions import LARGE, NEUTRAL, SMALL, direction_of
from runstore.repeats.values import Metric

BETTER = {
    "min": """
        val/Loss valLoss valloss loss/train Loss/generator loss_bbox logloss binary_logloss nRMSE
        top1_err train_time val_wer PER max_error hd95 fid_score FID50k p99_latency latency/p99
        seconds_per_step time_per_step s/it ms/step peak_memory_mb false_positive_rate neg_elbo
        false_negatives negative_log_likelihood accuracy_loss reward_loss acc_drop bits_per_char
        errors_per_second cost_per_hour time_to_accuracy mean_absolute_error edit_distance
        eval/nll_per_token smooth_l1 davies_bouldin_score mean_rank top_5_error collision_rate
        td_error ram_gb train_loss_epoch train_loss_step val_loss_epoch/dataloader_idx_0
        cross_entropy_step ContinuousRankedProbabilityScore TweedieDevianceScore wil
        DeepImageStructureAndTextureSimilarity LearnedPerceptualImagePatchSimilarity mmlu_loss
        TranslationEditRate RetrievalFallOut SpectralAngleMapper
        """,
    "max": """
        val_acc testacc Acc@5 top1 hits@10 mAP@0.5 mIoU F1Score macro_f1 R-squared r2_score BLEU-4
        bleu4 rougeLsum it/s samples/s steps_per_sec requests_per_second neg_mean_squared_error
        win_rate true_positive_rate mean_return score error_reduction time_to_failure si_sdr
        cosine_similarity log_prob test/elbo signal_to_noise_ratio loss/acc c_index uptime
        negative_predictive_value dice_score information_gain rollout/ep_rew_mean R@1 P@10 top_5
        explained_variance ROUGE-L chrF++ auc_pr SignalDistortionRatio SignalNoiseRatio
        ScaleInvariantSignalDistortionRatio d2_log_loss_score d2_absolute_error_score
        d2_tweedie_score val_acc_epoch r2_epoch val/f1_score_epoch JaccardIndex
        MatthewsCorrCoef ConcordanceCorrCoef MeanReciprocalRank v_measure mmlu gsm8k
        harness/arc_challenge/acc_norm concordance_index DiceCoefficient SQuAD
        """,
    None: """
        timesteps transferred foo lr grad_norm loss_scale loss_weight epoch gloss lossless errand
        timely diameter costume gloss/meters x/y alpha wobble acc_std loss_var n_params entropy
        approx_count ep_len_mean flops best_loss_epoch time_step success_epoch fail_step
        max_epoch loss_scale_epoch SpectralDistortionIndex vif gini mmlu_stderr
        """,
}


def test_whole_words_decide():
    better = {name: better for better, names in BETTER.items() for name in names.split()}

    assert {name: direction_of(name) for name in better} == better


@pytest.mark.parametrize(
    "name", ["", "/", "__", "%", "7", "per", "neg", "drop", "a/per/s", "é/損失"]
)
def test_odd_names_are_no_trouble(name):
    assert direction_of(name) in {"min", "max", None}


def test_no_word_means_both():
    assert not SMALL & LARGE
    assert not (SMALL | LARGE) & NEUTRAL


@pytest.mark.parametrize(
    ("key", "statistic", "known", "default"),
    [
        ("val/loss", "last", "min", "min"),
        ("f1", "max", "max", "max"),
        ("zeta", "last", None, "max"),
        ("val/loss", "count", None, "max"),
    ],
)
def test_programs_that_rank_have_a_direction_for_each_metric(key, statistic, known, default):
    metric = Metric(key=key, statistic=statistic)

    assert (metric.known_direction, metric.default_direction) == (known, default)
