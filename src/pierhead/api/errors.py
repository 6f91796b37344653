"""Errors as answers: the family decides the status; the body says what, where and what to do next."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pierhead.kit import errors

_log = logging.getLogger(__name__)

_STATUSES: dict[type[errors.PierError], int] = {
    errors.Invalid: 400,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Failed: 422,
    errors.Unavailable: 503,
}


def status(error: errors.PierError) -> int:
    """The HTTP status of an error's family; 500 for what is none of the caller's doing."""
    return next((code for family, code in _STATUSES.items() if isinstance(error, family)), 500)


def body(error: errors.PierError) -> dict[str, Any]:
    """`{"error": {"kind", "message", "hint", "problems": [{"place", "reason", "hint"}]}}`"""
    return {"error": errors.document(error)}


def install(app: FastAPI) -> None:
    """Every answer that is not a success has the shape of `body`."""
    app.add_exception_handler(errors.PierError, _pier)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


async def _pier(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.PierError)  # noqa: S101 - what it was registered for
    code = status(error)
    if code >= 500:
        _log.warning("A request could not be served: %s", error)
    headers = {"WWW-Authenticate": "Bearer"} if code == 401 else {}
    return JSONResponse(body(error), code, headers)


async def _validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    problems = [errors.Problem(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
    return JSONResponse(body(errors.Invalid("The request is not valid.", problems=problems)), 400)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    families = {401: errors.Denied, 403: errors.Denied, 404: errors.NotFound, 405: errors.Invalid, 413: errors.Invalid}
    family = families.get(error.status_code, errors.Refused)
    hint = "`/v1/openapi.json` lists what there is." if error.status_code in (404, 405) else ""
    return JSONResponse(body(family(str(error.detail), hint=hint)), error.status_code, error.headers)
