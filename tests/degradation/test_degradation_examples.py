"""The examples in the docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import lowlight.degradation

MODULES = [f"lowlight.degradation.{module.name}" for module in pkgutil.iter_modules(lowlight.degradation.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_deterministic_transform_has_an_example():
    examples = doctest.DocTestFinder()
    for transform in lowlight.degradation.Degradation.__subclasses__():
        if transform is not lowlight.degradation.Observation:
            assert any(found.examples for found in examples.find(transform)), transform.__name__
