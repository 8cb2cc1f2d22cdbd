"""What both sides of DIMSE share: how TLS is spoken, what a storage commitment's answer says, and strictness."""

from __future__ import annotations

import ssl

from pynetdicom import _config, evt

from lowlight.services.pacs.queue import Queue
from lowlight.services.pacs.rules import Tls, load_authorities, load_identity
from lowlight.services.pacs.web import is_uid

_SUCCESS, _CANNOT_UNDERSTAND = 0x0000, 0x0115
_MOST_ITEMS = 10_000

_config.ENFORCE_UID_CONFORMANCE = True
# Objects go to the disk as they arrive: what is being received is never held in memory.
_config.STORE_RECV_CHUNKED_DATASET = True
_config.STORE_SEND_CHUNKED_DATASET = True
_config.LOG_HANDLER_LEVEL = "none"


def tls_client(rule: Tls) -> ssl.SSLContext:
    """How we speak TLS when we call."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    return _loaded(context, rule)


def tls_server(rule: Tls) -> ssl.SSLContext:
    """How we speak TLS when we are called: callers show a certificate, too (PS3.15 B.12)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    return _loaded(context, rule)


def committed(event: evt.Event, queue: Queue) -> int:
    """Note what an N-EVENT-REPORT says of a request for storage commitment (PS3.4 J.3.3); returns the status."""
    try:
        report = event.event_information
        request = str(report.get("TransactionUID") or "")
        answers: dict[str, str] = {}
        for item in list(report.get("ReferencedSOPSequence") or [])[:_MOST_ITEMS]:
            answers[str(item.get("ReferencedSOPInstanceUID"))] = ""
        for item in list(report.get("FailedSOPSequence") or [])[:_MOST_ITEMS]:
            reason = int(item.get("FailureReason") or 0)
            answers[str(item.get("ReferencedSOPInstanceUID"))] = f"no storage commitment (failure reason {reason:04X})"
    except Exception:
        # Whatever is wrong with what others send, the answer is the same.
        return _CANNOT_UNDERSTAND
    known = is_uid(request) and queue.answer_commitment(request, answers)
    return _SUCCESS if known else _CANNOT_UNDERSTAND


def _loaded(context: ssl.SSLContext, rule: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_identity(context, rule.certificate, rule.key)
    load_authorities(context, rule.ca_file)
    return context
