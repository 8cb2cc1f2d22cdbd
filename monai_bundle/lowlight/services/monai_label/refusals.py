"""Refusals in the words of HTTP: each says what is wrong and what to do, and none names a file."""

from __future__ import annotations

from fastapi import HTTPException

from lowlight.errors import DependencyError, InputError, LowLightError, NotAnImageError, OutputError


def bad_request(why: str) -> HTTPException:
    """400: nobody could grant the request."""
    return HTTPException(400, why)


def not_found(what: str) -> HTTPException:
    """404: what was asked for is not there."""
    return HTTPException(404, what)


def refusal(error: LowLightError) -> HTTPException:
    """The answer for an image that was refused: 415 if it is none, 422 if it cannot be enhanced, 507 if the result
    cannot be written, 503 where the server lacks something."""
    if isinstance(error, InputError):
        status = 415 if isinstance(error, NotAnImageError) else 507 if isinstance(error, OutputError) else 422
        # Options of the command line are fields of a request here.
        remedy = error.remedy.replace("--any-modality", "any_modality")
        return HTTPException(status, f"The image {error.fault}" + (f"; {remedy}." if remedy else "."))
    return HTTPException(503 if isinstance(error, DependencyError) else 500, str(error))
