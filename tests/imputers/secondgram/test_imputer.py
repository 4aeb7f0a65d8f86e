"""SECONDGRAM: the presets against the facts, examples as the paper says, and what it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nextscan import Secondgram
from nextscan.cohort import concatenate, hide, pairs, split_validation, targets
from nextscan.errors import SettingError, TooFewPairsError
from nextscan.imputers.contract.check import check_imputer
from nextscan.imputers.secondgram.encoding import Encoding
from nextscan.imputers.secondgram.presets import PRESETS
from nextscan.imputers.secondgram.training import PairProblem
from nextscan.imputers.settings import resolve
from nextscan.metrics import energy_score
from samples import tiny_cohort

SMALL = {"widths": (16, 8), "embedding": 16, "sampling_steps": 5}


def quick(**changes: object) -> Secondgram:
    return Secondgram(**{"epochs": 2, **SMALL, **changes})


class TestPresets:
    def test_paper(self) -> None:
        paper = PRESETS["paper"]
        assert (paper.steps, paper.schedule, paper.parameterisation, paper.sampler) == (
            100,
            "linear",
            "noise",
            "ancestral",
        )
        assert (paper.widths, paper.embedding, paper.n_residual, paper.attention) == ((512, 256, 128), 256, 2, True)
        assert (paper.self_conditioning_steps, paper.gradient_rule, paper.use_years) == (5, "preliminary", False)
        assert (paper.learning_rate, paper.batch_size, paper.epochs, paper.patience) == (1e-3, 256, 1000, 50)
        assert (paper.per_visit_scale, paper.clamp, paper.unpaired, paper.selection) == (True, True, "use", "pearson")
        path = Secondgram(preset="paper")._process().path
        assert path.signal_noise(torch.tensor(1.0))[0] ** 2 == pytest.approx(0.338, abs=0.001)

    def test_released_differs_from_paper_as_the_code_does(self) -> None:
        assert PRESETS["released"] == replace(
            PRESETS["paper"],
            attention=False,
            self_conditioning_steps=6,
            self_condition_paired=True,
            self_condition_validation=True,
            gradient_rule="fixed",
            clip=0.3,
            skip=1.8,
        )

    def test_default_never_predicts_noise_where_only_noise_is_left(self) -> None:
        assert Secondgram()._process().path.ends_at_noise
        assert PRESETS["default"].parameterisation == "velocity"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"preset": "papier"}, "preset must be one of default, paper, released"),
            ({"schedule": "cubic"}, "schedule must be one of"),
            ({"sampling_steps": 0}, "sampling_steps must be at least 1"),
            ({"sampler": "euler"}, "sampler must be one of ancestral"),
            ({"preset": "paper", "sampling_steps": 101}, "exceeds the 100 steps"),
            ({"device": "abacus"}, "device 'abacus' cannot be used here"),
        ],
    )
    def test_wrong_settings_are_named(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(SettingError, match=message):
            quick(**changes).fit(tiny_cohort())

    def test_none_means_as_in_the_preset(self) -> None:
        assert resolve(PRESETS, "paper", {"epochs": 7, "clip": None}) == replace(PRESETS["paper"], epochs=7)


def problem(preset: str, **changes: object) -> tuple[PairProblem, Encoding]:
    train, validation = split_validation(tiny_cohort(60, 30), fraction=0.2)
    model = Secondgram(preset=preset, **changes)
    encoding = Encoding.fit(train, model.settings)
    made = PairProblem.make(
        model._process(), encoding, train, validation, use_unpaired=True, device=torch.device("cpu")
    )
    return made, encoding


class TestExamples:
    """24 single and 48 paired subjects train, 6 and 12 validate."""

    @pytest.mark.parametrize(
        ("preset", "alone"), [("paper", 24), ("released", 24 + 48 + 6), ("default", 24)], ids=lambda value: str(value)
    )
    def test_counts(self, preset: str, alone: int) -> None:
        made, _ = problem(preset)
        assert (made.n_pairs, made.n_examples) == (48, 48 + alone)

    def test_without_self_conditioning_only_pairs_remain(self) -> None:
        made, _ = problem("paper", self_conditioning="none")
        assert made.n_examples == made.n_pairs == 48

    def test_alone_target_is_the_visit_itself_in_the_scale_of_context_visits(self) -> None:
        made, _ = problem("paper")
        assert torch.equal(made.target[made.n_pairs :], made.context[made.n_pairs :])
        assert not torch.equal(made.target[: made.n_pairs], made.context[: made.n_pairs])

    def test_noised_half_of_the_time_by_five_steps(self) -> None:
        made, _ = problem("paper")
        examples = torch.arange(48, 72).repeat(2000)[None]
        context = made.context[examples]
        noised = made._perturbed(context, (examples >= made.n_pairs)[..., None], [torch.Generator().manual_seed(0)])
        same = (noised == context).all(-1)[0]
        assert same.double().mean() == pytest.approx(0.5, abs=0.01)
        kept = torch.tensor([1 - b for b in torch.linspace(0.0015, 0.02, 100).tolist()[:5]]).prod()
        noise = (noised - kept.sqrt() * context)[0, ~same]
        assert noise.std() == pytest.approx(float((1 - kept).sqrt()), rel=0.02)

    def test_measured_noise_has_the_covariance_of_change_and_pairs_stay(self) -> None:
        made, encoding = problem("default")
        examples = torch.arange(made.n_examples).repeat(3000)[None]
        context = made.context[examples]
        alone = (examples >= made.n_pairs)[..., None]
        noise = (made._perturbed(context, alone, [torch.Generator().manual_seed(0)]) - context)[0]
        assert noise[~alone[0, :, 0]].abs().max() == 0
        covariance = torch.cov(noise[alone[0, :, 0]].T).numpy()
        np.testing.assert_allclose(covariance, encoding.colour @ encoding.colour.T, atol=0.02 * covariance.max())

    def test_flag_marks_a_visit_paired_with_itself(self) -> None:
        made, _ = problem("default")
        assert made.extra[:, -1].tolist() == [0.0] * 48 + [1.0] * 24

    def test_years_are_seen_by_default_only(self) -> None:
        default, encoding = problem("default")
        paper, without = problem("paper")
        assert default.extra.shape[1] == paper.extra.shape[1] + 3  # years, whether known, kind of pair
        assert not without.use_years
        gap, known = default.extra[:48, -3], default.extra[:48, -2]
        assert gap.mean() == pytest.approx(1.0, abs=1e-6)
        assert (known == 1).all()
        assert (default.extra[48:, -3:-1] == 0).all()
        assert encoding.mean_gap > 0

    def test_hidden_years(self) -> None:
        made, _ = problem("default")
        extra = made.extra[None, :48].expand(1, 48, -1).repeat(1, 500, 1)
        hidden = made._hide_years(extra, [torch.Generator().manual_seed(0)])
        gone = hidden[..., -2] == 0
        assert gone.double().mean() == pytest.approx(made.process.settings.years_dropout, abs=0.01)
        assert torch.equal(hidden[~gone], extra[~gone])
        assert torch.equal(hidden[..., :-3], extra[..., :-3])


class TestEncoding:
    def test_colour_undoes_whiten(self) -> None:
        _, encoding = problem("default")
        np.testing.assert_allclose(encoding.colour @ encoding.whiten, np.eye(6), atol=1e-9)

    def test_native_undoes_the_target(self) -> None:
        train, _ = split_validation(tiny_cohort(), fraction=0.2)
        encoding = Encoding.fit(train, Secondgram().settings)
        found = pairs(train)
        first, second = (encoding.scaled(train.features[rows], 0) for rows in (found.context, found.target))
        target = (second - encoding.offset[0] - encoding.slope[0] * first) @ encoding.whiten.T
        np.testing.assert_allclose(encoding.native(target, first), train.features[found.target], rtol=1e-5)
        assert np.cov(target.T).trace() / 6 == pytest.approx(1.0, abs=0.15)

    def test_regression_is_ordinary_least_squares(self) -> None:
        train, _ = split_validation(tiny_cohort(), fraction=0.2)
        encoding = Encoding.fit(train, Secondgram().settings)
        found = pairs(train)
        first, second = (encoding.scaled(train.features[rows], 0) for rows in (found.context, found.target))
        slope, offset = np.polyfit(first[:, 2], second[:, 2], 1)
        assert encoding.slope[0, 2] == pytest.approx(slope, rel=1e-4)
        assert encoding.offset[0, 2] == pytest.approx(offset, abs=1e-5)


@pytest.mark.minutes
class TestFit:
    def test_untrained_default_is_the_regression_with_its_residual_covariance(self) -> None:
        cohort = tiny_cohort(200, 0)
        train, test = split_validation(cohort, fraction=0.3)
        model = quick(epochs=1, learning_rate=1e-12, unpaired="ignore", sampling_steps=12).fit(train)
        task = hide(test)
        result = model.impute(task.shown, 400, seed=1)
        encoding = model.encoding_
        scaled = encoding.scaled(task.context, 0)
        expected = encoding.native(np.zeros_like(scaled), scaled)
        spread = np.sqrt(((encoding.scaler.scale[1][:, None] * encoding.colour) ** 2).sum(1))
        np.testing.assert_allclose((result.mean() - expected) / spread, 0, atol=0.25)
        np.testing.assert_allclose(result.sd().mean(0) / spread, 1, atol=0.05)

    def test_preliminary_thresholds_and_skips_are_recorded(self) -> None:
        model = quick(preset="paper", sampling_steps=None).fit(tiny_cohort())
        clip, skip = model.record_["thresholds"]
        assert 0 < clip < skip
        assert 0 <= model.record_["skipped_fraction"] < 1
        assert [row["epoch"] for row in model.record_["learning"]] == [1, 2]

    def test_pool_is_chosen_by_validation_score(self) -> None:
        model = quick(unpaired="auto").fit(tiny_cohort(60, 30))
        pool = model.record_["pool"]
        scores = pool["validation_score"]
        assert pool["used"] == (scores["with"] > scores["without"])
        assert model.record_["best_score"] == max(scores.values())

    def test_seeds_give_a_list_of_ordinary_imputers(self) -> None:
        cohort = tiny_cohort()
        train, validation = split_validation(cohort, fraction=0.2)
        many = quick(replicas_at_once=2).fit(train, validation, seeds=[3, 4, 5])
        alone = quick().fit(train, validation, seed=4)
        assert [model.record_["seed"] for model in many] == [3, 4, 5]
        together = many[1].impute(validation, 3, at_years=[1]).draws
        np.testing.assert_allclose(together, alone.impute(validation, 3, at_years=[1]).draws, rtol=1e-3)
        assert not np.allclose(together, many[0].impute(validation, 3, at_years=[1]).draws)

    def test_resumes_from_its_checkpoint(self, tmp_path: object) -> None:
        train, validation = split_validation(tiny_cohort(), fraction=0.2)
        first = quick(epochs=4).fit(train, validation, checkpoint=tmp_path)
        again = quick(epochs=4).fit(train, validation, checkpoint=tmp_path)
        assert first.record_["learning"] == again.record_["learning"]

    def test_too_few_pairs_is_a_named_error(self) -> None:
        with pytest.raises(TooFewPairsError, match="needs at least 10 pairs"):
            quick().fit(tiny_cohort(5, 20))

    def test_seeds_ignore_who_else_is_there(self) -> None:
        cohort = tiny_cohort()
        model = quick().fit(cohort)
        single = cohort.select_subjects(~cohort.is_paired)
        whole = model.impute(single, 4, seed=2)
        part = model.impute(single.select_subjects([3]), 4, seed=2)
        np.testing.assert_allclose(part.draws[:, 0], whole.draws[:, 3], rtol=1e-5)
        assert targets(single).visit.tolist() == ["imputed"] * single.n_subjects


@pytest.mark.minutes
def test_learns_what_the_regression_cannot(tmp_path: object) -> None:
    """In a world of three factors the best answer borrows strength across features; training finds some of it."""
    world = tiny_cohort(1200, 0, n_features=12, seed=5)
    train, test = split_validation(world, fraction=0.25)
    model = Secondgram(widths=(64, 32), embedding=64, epochs=60, learning_rate=2e-3).fit(train)
    start = Secondgram(widths=(64, 32), embedding=64, epochs=1, learning_rate=1e-12).fit(train)
    task = hide(test)
    unit = np.nanstd(train.features, axis=0)
    scores = [
        energy_score(task.truth / unit, made.impute(task.shown, 40, seed=1).draws / unit).mean()
        for made in (model, start)
    ]
    assert model.record_["best_epoch"] > 0
    assert scores[0] < 0.97 * scores[1]


@pytest.mark.minutes
def test_concatenated_pool_keeps_its_labels() -> None:
    pool = tiny_cohort(0, 15, seed=9)
    pool = replace(pool, subjects=np.array([f"pool-{i}" for i in range(15)]))
    model = quick(unpaired="use").fit(concatenate(tiny_cohort(), pool))
    assert model.record_["pool"] == {
        "available": 31,
        "used": True,
        "validation_score": {"with": model.record_["best_score"]},
    }


@pytest.mark.minutes
@pytest.mark.parametrize("preset", PRESETS)
def test_keeps_the_contract_of_imputers(preset: str) -> None:
    check_imputer(lambda: quick(preset=preset))
