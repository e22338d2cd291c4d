"""Speaks S3 by hand: a SigV4 signer, the aws-chunked encodings and a raw HTTP/1.1 client.

SDKs cannot send a malformed request, so the bad-input suites build theirs here, byte by byte. Written from
"Authenticating Requests (AWS Signature Version 4)" in the S3 API reference. Everything that is signed can be
overridden, so that one thing at a time can be wrong. Nothing here asserts.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import re
import socket
import ssl
import zlib
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
ALGORITHM = "AWS4-HMAC-SHA256"
TIMEOUT_S = 60


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def amz_date(when):
    return when.strftime("%Y%m%dT%H%M%SZ")


def encode(text, safe="-_.~"):
    """AWS's UriEncode: everything but unreserved characters, upper-case hex."""
    return quote(text, safe=safe)


def object_path(bucket, key):
    """The request path of a key: slashes kept, dots never folded."""
    return f"/{bucket}/{encode(key, safe='-_.~/')}"


def crc32_base64(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


@dataclass
class Signer:
    """Credentials plus everything a signature covers besides the request itself."""

    access_key: str
    secret_key: str
    region: str = "us-east-1"
    service: str = "s3"
    terminator: str = "aws4_request"
    when: datetime.datetime = field(default_factory=now)

    @property
    def scope(self):
        return f"{self.when:%Y%m%d}/{self.region}/{self.service}/{self.terminator}"

    @property
    def credential(self):
        return f"{self.access_key}/{self.scope}"

    def _key(self):
        key = _hmac(("AWS4" + self.secret_key).encode(), f"{self.when:%Y%m%d}")
        for part in (self.region, self.service, self.terminator):
            key = _hmac(key, part)
        return key

    def mac(self, text):
        return _hmac(self._key(), text).hex()

    def signature(self, method, path, query, headers, payload_hash):
        """`headers` are exactly the signed ones: lower-case name to value. `query` is (name, value) pairs."""
        canonical_query = "&".join(sorted(f"{encode(n)}={encode(v)}" for n, v in query))
        canonical_headers = "".join(f"{n}:{' '.join(headers[n].split())}\n" for n in sorted(headers))
        canonical = "\n".join([method, path, canonical_query, canonical_headers, ";".join(sorted(headers)), payload_hash])
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return self.mac("\n".join([ALGORITHM, amz_date(self.when), self.scope, digest]))

    def authorization(self, method, path, query, headers, payload_hash):
        """The Authorization header and the bare signature, which seeds chunk signatures."""
        signature = self.signature(method, path, query, headers, payload_hash)
        names = ";".join(sorted(headers))
        return f"{ALGORITHM} Credential={self.credential}, SignedHeaders={names}, Signature={signature}", signature

    def presign(self, method, path, host, expires_s="300", query=(), headers=None, **overrides):
        """Query pairs of a presigned request, signature last. `overrides` replace X-Amz-* values before signing."""
        signed = {"host": host, **(headers or {})}
        pairs = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": self.credential,
            "X-Amz-Date": amz_date(self.when),
            "X-Amz-Expires": str(expires_s),
            "X-Amz-SignedHeaders": ";".join(sorted(signed)),
        }
        pairs.update({name.replace("_", "-"): value for name, value in overrides.items()})
        pairs = [(n, v) for n, v in pairs.items() if v is not None] + list(query)
        return [*pairs, ("X-Amz-Signature", self.signature(method, path, pairs, signed, UNSIGNED))]


def split(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


def signed_chunks(signer, seed, data, chunk_bytes=65536, final=True, trailers=None, tamper_chunk=None):
    """`data` as STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or …-TRAILER when `trailers` is a dict.

    `tamper_chunk` flips a byte of that chunk after it was signed; `final=False` leaves out the closing chunk.
    """
    previous, out = seed, []
    chunks = split(data, chunk_bytes) + ([b""] if final else [])
    for index, chunk in enumerate(chunks):
        previous = signer.mac("\n".join([
            ALGORITHM + "-PAYLOAD", amz_date(signer.when), signer.scope, previous,
            EMPTY_SHA256, hashlib.sha256(chunk).hexdigest(),
        ]))
        if index == tamper_chunk:
            chunk = bytes([chunk[0] ^ 1]) + chunk[1:]
        out.append(f"{len(chunk):x};chunk-signature={previous}\r\n".encode())
        if chunk or trailers is None:
            out.append(chunk + b"\r\n")
    if trailers is not None and final:
        lines = "".join(f"{n}:{v}\n" for n, v in trailers.items())
        signature = signer.mac("\n".join([
            ALGORITHM + "-TRAILER", amz_date(signer.when), signer.scope, previous,
            hashlib.sha256(lines.encode()).hexdigest(),
        ]))
        out += [f"{n}:{v}\r\n".encode() for n, v in trailers.items()]
        out.append(f"x-amz-trailer-signature:{signature}\r\n\r\n".encode())
    return b"".join(out)


def unsigned_chunks(data, trailers, chunk_bytes=65536, final=True):
    """`data` as STREAMING-UNSIGNED-PAYLOAD-TRAILER."""
    out = [f"{len(c):x}\r\n".encode() + c + b"\r\n" for c in split(data, chunk_bytes)]
    if final:
        out.append(b"0\r\n" + b"".join(f"{n}:{v}\r\n".encode() for n, v in trailers.items()) + b"\r\n")
    return b"".join(out)


def http_chunked(data, chunk_bytes=16384):
    """`data` in HTTP/1.1's own chunked transfer coding."""
    return b"".join(f"{len(c):x}\r\n".encode() + c + b"\r\n" for c in split(data, chunk_bytes)) + b"0\r\n\r\n"


@dataclass
class Response:
    """An answer, or `status` 0 when the server closed the connection without one."""

    status: int
    headers: dict
    body: bytes
    closed: bool = False

    @property
    def code(self):
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return found.group(1).decode() if found else ""

    def __repr__(self):
        return f"<{self.status} {self.code} {self.headers} {self.body[:600]!r}>"


class Wire:
    """A raw client for one endpoint; a new connection for each request unless told otherwise."""

    def __init__(self, url, access_key, secret_key, region="us-east-1", ca_file=None):
        parts = urlsplit(url)
        self.url, self.host, self.port, self.region = url, parts.hostname, parts.port, region
        self.netloc = parts.netloc
        self.access_key, self.secret_key = access_key, secret_key
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        if self._tls:
            self._tls.set_alpn_protocols(["http/1.1"])

    def signer(self, **changes):
        return Signer(**{"access_key": self.access_key, "secret_key": self.secret_key, "region": self.region, **changes})

    def connect(self):
        plain = socket.create_connection((self.host, self.port), timeout=TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._tls.wrap_socket(plain, server_hostname=self.host) if self._tls else plain

    def exchange(self, raw, method="GET", half_close=False, connection=None):
        """Sends `raw` and reads one response. A server may answer, and close, before it has read everything."""
        own = connection is None
        connection = connection or self.connect()
        try:
            try:
                connection.sendall(raw)
                if half_close:
                    # TLS has no usable half-close: the peer learns of the end by close_notify or not at all.
                    connection.unwrap() if self._tls else connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            response = http.client.HTTPResponse(connection, method=method)
            try:
                response.begin()
                body = response.read()
            except (http.client.HTTPException, OSError, ValueError):
                return Response(0, {}, b"", closed=True)
            headers = {n.lower(): v for n, v in response.getheaders()}
            return Response(response.status, headers, body, closed=response.will_close)
        finally:
            if own:
                connection.close()

    def head(self, method, path, query, headers):
        """Request line and headers as bytes. A header value may be a list, for repeated headers."""
        target = path + ("?" + "&".join(f"{encode(n)}={encode(v)}" if v != "" else encode(n) for n, v in query) if query else "")
        lines = [f"{method} {target} HTTP/1.1"]
        for name, value in headers.items():
            lines += [f"{name}: {v}" for v in (value if isinstance(value, list) else [value])]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def request(self, method, path, query=(), headers=None, body=b"", payload_hash=None, signer=None, sign=True,
                unsigned_headers=None, authorization=None, length=None, encode_body=None, half_close=False,
                connection=None):
        """One signed request.

        headers: signed too. unsigned_headers: added after signing, replacing; None removes one.
        payload_hash: what x-amz-content-sha256 claims; default the truth. length: what Content-Length claims.
        encode_body(signer, seed_signature) -> bytes: for bodies whose framing depends on the signature.
        authorization: sent instead of the computed header.
        """
        signer = signer or self.signer()
        claimed = payload_hash if payload_hash is not None else hashlib.sha256(body).hexdigest()
        signed = {"host": self.netloc, "x-amz-date": amz_date(signer.when), "x-amz-content-sha256": claimed}
        signed.update({n.lower(): v for n, v in (headers or {}).items()})
        value, seed = signer.authorization(method, path, query, signed, claimed)
        if encode_body:
            body = encode_body(signer, seed)
        sent = dict(signed)
        if sign:
            sent["authorization"] = authorization or value
        if body or method in ("PUT", "POST"):
            sent["content-length"] = str(len(body) if length is None else length)
        sent.update(unsigned_headers or {})
        sent = {n: v for n, v in sent.items() if v is not None}
        return self.exchange(self.head(method, path, query, sent) + body, method, half_close, connection)

    def put_many(self, bucket, items):
        """Stores (key, bytes) pairs over one kept-alive connection; raises on the first that fails."""
        connection = self.connect()
        try:
            for key, body in items:
                answer = self.request("PUT", object_path(bucket, key), body=body, connection=connection)
                if answer.status != 200:
                    raise RuntimeError(f"PUT {key!r}: {answer}")
                if answer.closed:
                    connection.close()
                    connection = self.connect()
        finally:
            connection.close()
