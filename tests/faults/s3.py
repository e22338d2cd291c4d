"""A small S3 client: the standard library alone, Signature Version 4, every status visible."""

import hashlib
import hmac
import http.client
import time
import urllib.parse
import xml.etree.ElementTree

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def ok(self):
        return 200 <= self.status < 300

    def text(self, name):
        """The text of the first XML element of this name."""
        found = xml.etree.ElementTree.fromstring(self.body).find(f".//{NAMESPACE}{name}")
        return None if found is None else found.text


def refusal(what, answer):
    """The error that an answer is: one that may pass, or one that stays."""
    kind = OSError if answer.status >= 500 else RuntimeError
    return kind(f"{what}: {answer.status} {answer.body[:200]}")


class S3:
    """One connection to one of several gateways at a time; not for several threads."""

    def __init__(self, endpoints, access_key, secret_key, timeout=30.0, region="us-east-1"):
        self.endpoints, self.at, self.timeout = list(endpoints), 0, timeout
        self.access_key, self.secret_key, self.region = access_key, secret_key, region
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def turn(self):
        """Moves on to the next gateway."""
        self.close()
        self.at = (self.at + 1) % len(self.endpoints)

    def send(self, method, path, query=(), body=b"", headers=()):
        """One exchange; an OSError or http.client.HTTPException where none came about."""
        host = self.endpoints[self.at]
        quoted = urllib.parse.quote(path, safe="/-_.~")
        pairs = sorted((urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(str(v), safe="-_.~")) for k, v in query)
        search = "&".join(f"{k}={v}" for k, v in pairs)
        signed = self.sign(method, host, quoted, search, body, dict(headers))
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(host, timeout=self.timeout)
            self.connection.request(method, f"{quoted}?{search}" if search else quoted, body=body, headers=signed)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.turn()
            raise
        if answer.getheader("connection") == "close":
            self.close()
        return Answer(answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), content)

    def sign(self, method, host, path, search, body, headers):
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest = hashlib.sha256(body).hexdigest()
        headers = {k.lower(): str(v) for k, v in headers.items()}
        headers.update({"host": host, "x-amz-date": now, "x-amz-content-sha256": digest})
        names = sorted(headers)
        lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
        request = "\n".join([method, path, search, lines, ";".join(names), digest])
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = ("AWS4" + self.secret_key).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        credential = f"Credential={self.access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
        headers["authorization"] = "AWS4-HMAC-SHA256 " + credential
        return headers

    # What the loads use.

    def create_bucket(self, bucket, versioned=False):
        answer = self.send("PUT", f"/{bucket}")
        if not answer.ok and answer.status != 409:
            raise refusal(f"bucket {bucket}", answer)
        if versioned:
            document = (
                '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                "<Status>Enabled</Status></VersioningConfiguration>"
            )
            answer = self.send("PUT", f"/{bucket}", [("versioning", "")], document.encode())
            if not answer.ok:
                raise refusal(f"versioning of {bucket}", answer)

    def put(self, bucket, key, body, headers=()):
        return self.send("PUT", f"/{bucket}/{key}", body=body, headers=headers)

    def get(self, bucket, key, version=None):
        return self.send("GET", f"/{bucket}/{key}", [("versionId", version)] if version else ())

    def delete(self, bucket, key, version=None):
        return self.send("DELETE", f"/{bucket}/{key}", [("versionId", version)] if version else ())

    def put_parts(self, bucket, key, parts):
        """A multipart upload; the answer to its completion, or the first answer that was not a success."""
        begun = self.send("POST", f"/{bucket}/{key}", [("uploads", "")])
        if not begun.ok:
            return begun
        upload, done = begun.text("UploadId"), ""
        for number, body in enumerate(parts, 1):
            answer = self.send("PUT", f"/{bucket}/{key}", [("partNumber", number), ("uploadId", upload)], body)
            if not answer.ok:
                return answer
            done += f"<Part><PartNumber>{number}</PartNumber><ETag>{answer.headers['etag']}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{done}</CompleteMultipartUpload>"
        return self.send("POST", f"/{bucket}/{key}", [("uploadId", upload)], document.encode())

    def keys(self, bucket, prefix=""):
        """Every key of a bucket, page after page."""
        found, token = [], None
        while True:
            query = [("list-type", 2), ("prefix", prefix)] + ([("continuation-token", token)] if token else [])
            answer = self.send("GET", f"/{bucket}", query)
            if not answer.ok:
                raise OSError(f"listing {bucket}: {answer.status}")
            tree = xml.etree.ElementTree.fromstring(answer.body)
            found += [element.text for element in tree.iter(f"{NAMESPACE}Key")]
            token = answer.text("NextContinuationToken")
            if not token:
                return found
