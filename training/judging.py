"""Champion against challenger: is the new model better than the one that is live, by the owner's rule?"""

from __future__ import annotations

from dataclasses import dataclass

from training.metrics import Metrics


@dataclass(frozen=True)
class Rule:
    """What a challenger must do better, and what it may do worse (keys of the configuration's section retrain).

    Attributes:
        min_gain: bits per character; a gain must be above 0 in any case.
        max_grounding_drop, max_novelty_drop, max_self_repeat_rise: of the shares r_at_10, novelty and self_repeat.
    """

    min_gain: float = 0.0
    max_grounding_drop: float = 0.02
    max_novelty_drop: float = 0.1
    max_self_repeat_rise: float = 0.1


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger is published, and why in one line."""

    publish: bool
    reason: str


def judge(challenger: Metrics, champion: Metrics, rule: Rule) -> Verdict:
    """Compare two models that were measured on the same pictures. A figure that either lacks is not compared."""
    new, old = challenger.bits_per_char, champion.bits_per_char
    if new is None:
        return Verdict(False, "there is nothing to measure the new model on")
    if old is None:
        return Verdict(True, f"{new:.3f} bits per character, the model before could not be measured")
    said = f"{new:.3f} bits per character against {old:.3f}"
    faults = []
    if new >= old:
        faults.append("not better")
    elif old - new < rule.min_gain:
        faults.append(f"a gain below {rule.min_gain:g}")
    if _fell(challenger.r_at_10, champion.r_at_10) > rule.max_grounding_drop:
        faults.append(f"finds the picture less often ({challenger.r_at_10:.2f} against {champion.r_at_10:.2f})")
    if _fell(challenger.novelty, champion.novelty) > rule.max_novelty_drop:
        faults.append(f"copies more ({challenger.novelty:.2f} new against {champion.novelty:.2f})")
    if _fell(champion.self_repeat, challenger.self_repeat) > rule.max_self_repeat_rise:
        faults.append(f"repeats itself more ({challenger.self_repeat:.2f} against {champion.self_repeat:.2f})")
    return Verdict(not faults, f"{said}: {', '.join(faults) or 'better'}")


def _fell(new: float | None, old: float | None) -> float:
    return 0.0 if new is None or old is None else round(old - new, 9)
