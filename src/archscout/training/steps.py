"""A training that counts its steps, each of equally many tokens, and is evaluated every so many."""

from __future__ import annotations

from archscout.training.loop import Batch, Losses, TrainingLoop


class StepTraining(TrainingLoop[Batch, Losses]):
    """A training whose settings have `steps`, `step_tokens` and `evaluate_every`."""

    @property
    def done(self) -> int:
        """Tokens that were read so far."""
        return int(self.state.step * self.settings.step_tokens)

    @property
    def total(self) -> int:
        """Tokens that are read in all steps."""
        return int(self.settings.steps * self.settings.step_tokens)

    @property
    def _last_rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def _rate(self) -> float:
        """The learning rate of the next step."""
        return self._scheduled_rate(self.state.step / self.settings.steps)

    def _is_evaluated(self) -> bool:
        """Whether an evaluation follows this step."""
        step, settings = self.state.step, self.settings
        is_due = step % settings.evaluate_every == 0
        return is_due or step == settings.steps or self._is_out_of_time()

    def _why_ended(self, best_step: int) -> str | None:
        """Why the training is over after an evaluation, with the step of the best one so far."""
        since_best = sum(record.step > best_step for record in self.state.records)
        return self._why_over(self.state.step == self.settings.steps, "steps", since_best)

    def _number(self) -> int:
        return self.state.step
