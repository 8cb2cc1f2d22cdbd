"""Which reader is asked what, in which order and on which side: all of it from one seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_DISTANCE = 5
"""Items between an item and its repetition, where there are so many."""


@dataclass(frozen=True)
class Planned:
    """One item of one reader; ``repeats`` is the index, in this reader's list, of the item that it asks again."""

    task: str
    image: int
    first: int
    second: int | None
    repeats: int | None = None


@dataclass(frozen=True)
class Question:
    """What is asked, whoever is asked: about one version of an image, or about two."""

    task: str
    image: int
    versions: tuple[int, ...]


def questions(task: str, images: Sequence[int], versions: Sequence[int]) -> list[Question]:
    """All that can be asked: each version of each image, or each two of them."""
    together = itertools.combinations(versions, 1 if task == "rating" else 2)
    return [Question(task, image, chosen) for chosen in together for image in images]


def selected(all_of_them: Sequence[Question], count: int | None, random: np.random.Generator) -> list[Question]:
    """So many of the questions that each combination of versions, then each image, comes as often as the others.

    Args:
        count: None or more than there are: all.
    """
    by_versions: dict[tuple[int, ...], list[Question]] = {}
    for question in all_of_them:
        by_versions.setdefault(question.versions, []).append(question)
    combinations = [by_versions[key] for key in by_versions]
    random.shuffle(combinations)
    if not combinations:
        return []
    width, depth = len(combinations), len(combinations[0])
    images = random.permutation(depth).tolist()
    # A Latin walk: each turn takes every combination once, always with the next image; where that would come round to
    # the same pairing, it moves on by one.
    taken = [
        combination[images[(turn * width + shift + turn * width // math.lcm(width, depth)) % depth]]
        for turn in range(depth)
        for shift, combination in enumerate(combinations)
    ]
    return taken if count is None else taken[:count]


def planned(asked: Sequence[Question], repeats: float, random: np.random.Generator) -> list[Planned]:
    """One reader's items: all questions in random order on random sides, some asked again in the second half.

    Args:
        asked: at least one; gradings and pairs apart, gradings first, so that no comparison gives versions away.
        repeats: share of the questions that come twice; at least one does, where it is not 0.
    """
    items: list[Planned] = []
    for task in ("rating", "pair"):
        block = _apart([question for question in asked if question.task == task], random)
        items += _with_repeats(block, repeats, random, len(items))
    return items


def _with_repeats(block: Sequence[Question], repeats: float, random: np.random.Generator, start: int) -> list[Planned]:
    if not block:
        return []
    count = min(len(block), max(1, round(repeats * len(block)))) if repeats > 0 else 0
    chosen = sorted(random.choice(len(block), count, replace=False).tolist())
    order: list[tuple[Question, int | None]] = [(question, None) for question in block]
    for index in chosen:
        # Repetitions of others may have moved it.
        place_of_first = next(place for place, (question, _) in enumerate(order) if question is block[index])
        earliest = min(len(order), max(place_of_first + 1 + LEAST_DISTANCE, len(block) // 2))
        place = int(random.integers(earliest, len(order) + 1))
        order.insert(place, (block[index], index))
    # Insertions lie behind what they repeat, but may have moved it: look each question's first place up at the end.
    first = {
        id(question): position for position, (question, again) in reversed(list(enumerate(order))) if again is None
    }
    return [
        Planned(
            question.task,
            question.image,
            *_sides(question, random),
            None if again is None else start + first[id(question)],
        )
        for question, again in order
    ]


def _sides(question: Question, random: np.random.Generator) -> tuple[int, int | None]:
    if len(question.versions) == 1:
        return question.versions[0], None
    left, right = random.permutation(question.versions).tolist()
    return left, right


def _apart(questions_: Sequence[Question], random: np.random.Generator) -> list[Question]:
    """In random order, but with no image twice in a row where that can be helped."""
    left = [questions_[index] for index in random.permutation(len(questions_))]
    order: list[Question] = []
    while left:
        previous = order[-1].image if order else None
        place = next((index for index, question in enumerate(left) if question.image != previous), 0)
        order.append(left.pop(place))
    return order
