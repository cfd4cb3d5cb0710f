"""Training as pure functions: chunks, seeds, bad steps, evaluation, and what is reported."""

import jax
import numpy as np
import pytest

from flax_tx import train
from flax_tx.data import batches
from flax_tx.values import values
from tests.flax_tx import reference, tiny

ARRAYS = tiny.stream()


@pytest.fixture(scope="module")
def cell():
    return tiny.cell()


@pytest.fixture(scope="module")
def start(cell):
    program, numbers = cell
    return tiny.init(program)(numbers)


def other(changes):
    """The values of the tiny config with fields of data changed."""
    return values(tiny.config(changes))


def test_two_halves_are_one_chunk_to_the_bit(cell, start):
    program, numbers = cell
    run = tiny.chunk(program)
    whole, rows = run(numbers, ARRAYS, start, 6)
    half, first = run(numbers, ARRAYS, start, 2)
    rest, second = run(numbers, ARRAYS, half, 4)
    assert tiny.same(whole, rest)
    assert int(whole.step) == 6 and int(whole.bad_step) == -1
    for name, row in rows.items():
        joined = np.concatenate([first[name][:2], second[name][:4]])
        assert joined.tobytes() == np.asarray(row[:6]).tobytes()
        assert np.all(np.asarray(row[6:]) == 0)


def test_a_batch_belongs_to_the_data_seed_and_the_step(cell, start):
    program, numbers = cell
    state, losses = start, []
    for step in range(3):
        key = jax.random.fold_in(jax.random.key(0), step)
        batch = jax.device_get(batches.draw(program.config.data, ARRAYS, key, tiny.BATCH))
        losses.append(float(tiny.loss(program)(state.params, numbers, batch)[1]))
        state, rows = tiny.chunk(program)(numbers, ARRAYS, state, 1)
        assert float(rows["train_loss"][0]) == pytest.approx(losses[-1], rel=1e-6)
    assert len(set(losses)) == 3


def test_each_seed_moves_its_own_randomness_alone(cell, start):
    program, numbers = cell
    after = tiny.chunk(program)(numbers, ARRAYS, start, 2)
    assert tiny.same(start, tiny.init(program)(other({"seed.data": 1, "seed.dropout": 1})))
    assert tiny.same(after, tiny.chunk(program)(other({"seed.init": 1, "seed.dropout": 1}), ARRAYS, start, 2))
    assert not tiny.same(start, tiny.init(program)(other({"seed.init": 1})))
    assert not tiny.same(after, tiny.chunk(program)(other({"seed.data": 1}), ARRAYS, start, 2))


def test_masks_differ_from_step_to_step(cell, start):
    """Equal batches and parameters at every step: what moves the loss is the mask."""
    still, alike = {"optim.learning_rate": 0}, {"train": np.full(100, 3, np.uint8)}
    program, dropped = tiny.cell(still | {"model.dropout.branch": 0.5})
    _, plain = tiny.chunk(cell[0])(other(still), alike, start, 3)
    _, masked = tiny.chunk(program)(dropped, alike, start, 3)
    assert len(set(plain["train_loss"][:3].tolist())) == 1
    assert len(set(masked["train_loss"][:3].tolist())) == 3


def test_rows_tell_the_learning_rate_and_the_norm_before_clipping(cell, start):
    program, numbers = cell
    clipped = other({"optim.clip_norm": 1e-3, "optim.warmup_steps": 4, "optim.learning_rate": 0.02})
    _, rows = tiny.chunk(program)(numbers, ARRAYS, start, 1)
    _, other_rows = tiny.chunk(program)(clipped, ARRAYS, start, 3)
    assert other_rows["grad_norm"][0] == rows["grad_norm"][0] > 1e-2
    np.testing.assert_allclose(other_rows["learning_rate"][:3], [0.005, 0.01, 0.015], rtol=1e-6)


def test_a_bad_step_stops_the_chunk_and_leaves_the_last_good_parameters(cell, start):
    program, numbers = cell
    run, poison = tiny.chunk(program), other({"optim.learning_rate": 1e37})
    good, _ = run(numbers, ARRAYS, start, 3)
    last, _ = run(poison, ARRAYS, good, 1)
    assert int(last.bad_step) == -1
    final, rows = run(poison, ARRAYS, good, 6)
    assert int(final.bad_step) == 4 and int(final.step) == 5
    assert tiny.same(final.params, last.params) and not tiny.same(final.params, good.params)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(final.params))
    assert np.isfinite(rows["train_loss"][0]) and not np.isfinite(rows["train_loss"][1])
    assert np.all(np.asarray(rows["train_loss"][2:]) == 0)
    again, _ = run(numbers, ARRAYS, final, 6)
    assert tiny.same(again, final)


def test_the_loss_of_an_easy_task_goes_down(cell, start):
    program, _ = cell
    easy = {"train": np.tile(np.arange(tiny.VOCAB, dtype=np.uint8), 30)}
    _, rows = tiny.chunk(program)(other({"optim.learning_rate": 3e-2}), easy, start, 20)
    assert rows["train_loss"][0] > 2
    assert rows["train_loss"][19] < 0.5 * rows["train_loss"][0]


def test_evaluation_of_a_language_model_is_the_cross_entropy_of_its_logits(cell, start):
    program, numbers = cell
    held_out = {name: np.stack([tiny.batch(seed=seed)[name] for seed in (1, 2)]) for name in ("inputs", "targets")}
    evaluate = tiny.compiled(lambda params, data: train.evaluate(program, numbers, params, data))
    found = evaluate(start.params, held_out)
    for index in (0, 1):
        batch = {name: array[index] for name, array in held_out.items()}
        logits, targets = np.float64(tiny.logits(program)(start.params, numbers, batch)), batch["targets"]
        expected = reference.cross_entropy(logits, targets.ravel()).reshape(targets.shape).mean(axis=1)
        np.testing.assert_allclose(found["loss"][index], expected, rtol=1e-5)
        hits = (logits.argmax(axis=1) == targets.ravel()).reshape(targets.shape)
        np.testing.assert_allclose(found["accuracy"][index], hits.mean(axis=1), rtol=1e-6)


def test_evaluation_of_a_classifier_is_the_cross_entropy_of_its_logits():
    program, numbers = tiny.cell(task="classify", outputs=3)
    mask = np.arange(tiny.LENGTH) < np.array([8, 5, 1, 6])[:, None]
    batch = {"inputs": tiny.batch()["inputs"], "mask": mask, "targets": np.array([0, 1, 2, 1])}
    held_out = {name: array[None] for name, array in batch.items()}
    found = tiny.compiled(lambda params: train.evaluate(program, numbers, params, held_out))(tiny.params(program))
    logits = np.float64(tiny.logits(program)(tiny.params(program), numbers, batch))
    np.testing.assert_allclose(found["loss"][0], reference.cross_entropy(logits, batch["targets"]), rtol=1e-5)
    np.testing.assert_array_equal(found["accuracy"][0], logits.argmax(axis=1) == batch["targets"])


def test_what_is_added_to_the_objective_is_not_reported(cell, start):
    (plain, numbers), more = cell, {"train.label_smoothing": 0.1, "train.z_loss": 0.1}
    program, more_numbers = tiny.cell(more)
    total, loss = tiny.loss(plain)(start.params, numbers, tiny.batch())
    more_total, more_loss = tiny.loss(program)(start.params, more_numbers, tiny.batch())
    assert total == loss == pytest.approx(float(more_loss), rel=1e-6)
    assert abs(more_total - more_loss) > 1e-2
