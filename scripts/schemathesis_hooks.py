"""What schemathesis cannot know: a CVRS file, how a body is encoded, and the secret of a client."""

import gzip
import io
import os
import zipfile
import zlib
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

HEADER, *ROWS = Path(os.environ["CVRSD_ROWS"]).read_text(encoding="utf-8").splitlines()


def text(rows):
    """A file with those rows."""
    return "\n".join([HEADER, *rows, ""]).encode()


def zipped(body):
    """A zip with that text as its one entry."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.txt", body)
    return out.getvalue()


TEXTS = st.lists(st.sampled_from(ROWS), max_size=4).map(text)
schemathesis.openapi.media_type("text/plain", TEXTS)
schemathesis.openapi.media_type("application/zip", TEXTS.map(zipped))


@schemathesis.hook.apply_to(operation_id="generateToken")
def map_body(context, body):
    """Makes some requests for a token those of the client that there is."""
    if isinstance(body, dict) and len(str(body.get("clientID"))) % 2:
        known = {"clientID": "A", "clientSecret": os.environ["CVRSD_SECRET"]}
        body |= {name: known[name] for name in known if isinstance(body.get(name), str)}
        # Of another type it makes the request a malformed one, and must stay.
        if isinstance(body.get("onBehalfOfClientID"), str):
            del body["onBehalfOfClientID"]
    return body


@schemathesis.hook
def filter_case(context, case):
    """Leaves out lists of no content coding, which RFC 9110 (5.6.1) has taken for no header at all."""
    encoding = (case.headers or {}).get("Content-Encoding")
    return not isinstance(encoding, str) or encoding.strip(" \t,") != ""


ENCODERS = {"gzip": lambda body: gzip.compress(body, mtime=0), "deflate": zlib.compress}


def encode(request):
    """Encodes a body as its header says."""
    encoder = ENCODERS.get(request.headers.get("Content-Encoding"))
    if encoder and isinstance(request.body, bytes):
        request.body = encoder(request.body)
        request.prepare_content_length(request.body)
    return request


@schemathesis.hook
def before_call(context, case, kwargs):
    """Has the request encoded as it leaves; the case keeps the body that was made up."""
    kwargs["auth"] = encode
