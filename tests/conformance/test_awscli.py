"""The newcomer's journey through aws-cli and curl, command for command, and the `aws s3api` operations."""

import json
import os
import re
import shutil
import subprocess

import pytest

JOURNEY_BYTES = int(os.environ.get("S3_TEST_JOURNEY_MB", "300")) * 1024 * 1024
COMMAND_TIMEOUT_S = 600

pytestmark = pytest.mark.skipif(not shutil.which("aws"), reason="no aws on the path")


PRESIGN_PUT = (
    "python3 -c \"import boto3; print(boto3.client('s3').generate_presigned_url("
    "'put_object', Params={{'Bucket': '{bucket}', 'Key': '{key}'}}))\""
)


@pytest.fixture
def shell(target, folder):
    """shell(command) runs one line of bash as a newcomer would and gives its output; a failure fails the test.

    `fails=True` expects the failure. The clients' settings are left as they come.
    """
    def run(command, fails=False):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=target.environment(), text=True,
            capture_output=True, timeout=COMMAND_TIMEOUT_S,
        )
        assert (done.returncode != 0) == fails, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout if not fails else done.stdout + done.stderr
    return run


@pytest.mark.timeout(900)
def test_journey(shell, folder, make_bucket, s3):
    bucket = make_bucket() + "-journey"
    with open(folder / "big.bin", "wb") as file:
        for _ in range(JOURNEY_BYTES >> 20):
            file.write(os.urandom(1 << 20))

    assert f"make_bucket: {bucket}" in shell(f"aws s3 mb s3://{bucket}")
    shell(f"aws s3 cp big.bin s3://{bucket}/big.bin --no-progress")
    shell(f"aws s3 cp s3://{bucket}/big.bin back.bin --no-progress")
    shell("cmp big.bin back.bin && rm back.bin")
    if JOURNEY_BYTES > 8 << 20:
        assert "-" in s3.head_object(Bucket=bucket, Key="big.bin")["ETag"], "was not sent in parts"
    assert f"{JOURNEY_BYTES} big.bin" in shell(f"aws s3 ls s3://{bucket}/")
    assert bucket in shell("aws s3 ls")

    shell("mkdir -p site/css site/deep/er && echo hi > site/index.html && echo b > site/css/a.css && echo c > 'site/deep/er/sp ace+ü.txt' && : > site/empty")
    # S3 keeps whole seconds: a file written in the second of its upload would look newer than its copy.
    shell("find site -type f -exec touch -d '1 minute ago' {} +")
    assert shell(f"aws s3 sync site s3://{bucket}/site --no-progress").count("upload:") == 4
    assert shell(f"aws s3 sync site s3://{bucket}/site --no-progress") == "", "the second sync copied something"
    shell("echo changed > site/index.html && touch -d '1 minute' site/index.html")
    assert shell(f"aws s3 sync site s3://{bucket}/site --no-progress").count("upload:") == 1
    shell(f"aws s3 sync s3://{bucket}/site copy --no-progress && diff -r site copy")
    assert shell(f"aws s3 sync s3://{bucket}/site copy --no-progress") == "", "the second sync back copied something"
    shell(f"rm site/empty && aws s3 sync site s3://{bucket}/site --delete --no-progress")
    assert "empty" not in shell(f"aws s3 ls --recursive s3://{bucket}/site/")
    assert "PRE css/" in shell(f"aws s3 ls s3://{bucket}/site/")

    shell(f'curl -sSf -o got.html "$(aws s3 presign s3://{bucket}/site/index.html)" && cmp got.html site/index.html')
    shell(f'curl -sSf -T site/index.html "$({PRESIGN_PUT.format(bucket=bucket, key="from-curl.txt")})"')
    assert shell(f"aws s3 cp s3://{bucket}/from-curl.txt -") == "changed\n"

    shell(f"aws s3 mv s3://{bucket}/from-curl.txt s3://{bucket}/moved.txt")
    assert shell(f"echo piped | aws s3 cp - s3://{bucket}/piped && aws s3 cp s3://{bucket}/piped -") == "piped\n"
    shell(f"aws s3 rm s3://{bucket}/moved.txt && aws s3 rm s3://{bucket}/piped && aws s3 rm s3://{bucket}/big.bin")
    assert "BucketNotEmpty" in shell(f"aws s3 rb s3://{bucket}", fails=True)
    shell(f"aws s3 rm --recursive s3://{bucket}/")
    assert f"remove_bucket: {bucket}" in shell(f"aws s3 rb s3://{bucket}")
    assert bucket not in shell("aws s3 ls")


def test_presigning_with_stock_settings(shell, folder, bucket, key):
    """What `aws s3 presign` of aws-cli 1 and boto3 make unless configured: signature version 2 in us-east-1."""
    (folder / "f").write_text("hello")
    put = shell(PRESIGN_PUT.format(bucket=bucket, key=key)).strip()
    shell(f"curl -sSf -T f '{put}'")
    get = shell(f"aws s3 presign s3://{bucket}/{key}").strip()
    assert "Signature=" in get and "X-Amz-" not in get, "the stock settings now make another signature"
    assert shell(f"curl -sSf '{get}'") == "hello"


@pytest.mark.differs("moto", "checks no signatures")
def test_presigning_with_stock_settings_binds(shell, target, s3, bucket, key):
    """The older signature binds as the newer does: method, key and expiry."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"hello")
    s3.put_object(Bucket=bucket, Key=key + "-other", Body=b"other")
    get = shell(f"aws s3 presign s3://{bucket}/{key}").strip()
    status = "curl -sS -o /dev/null -w '%{http_code}' "
    assert shell(f"{status} -X DELETE '{get}'") in ("400", "403")
    assert shell(f"{status} '{get.replace(key, key + '-other')}'") in ("400", "403")
    expiry = re.sub(r"Expires=(\d+)", lambda m: f"Expires={int(m[1]) + 1}", get)
    assert expiry != get and shell(f"{status} '{expiry}'") in ("400", "403")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"hello"


@pytest.mark.differs("moto", "checks no signatures")
@pytest.mark.differs("seaweedfs", "ignores parameters that are not signed")
def test_presigning_with_stock_settings_leaves_nothing_to_add(shell, s3, bucket, key):
    """The older signature covers few parameters; the others must not come in unsigned."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"hello")
    get = shell(f"aws s3 presign s3://{bucket}/{key}").strip()
    status = "curl -sS -o /dev/null -w '%{http_code}' "
    assert shell(f"{status} '{get}'") == "200"
    for added in ("acl", "versionId=null", "uploadId=x", "prefix=x", "x-amz-acl=private", "response-content-type=text%2Fhtml"):
        assert shell(f"{status} '{get}&{added}'") in ("400", "403"), added
    assert shell(f"{status} -H 'x-amz-acl: private' '{get}'") == "403"


def test_rb_force(shell, make_bucket, s3):
    name = make_bucket()
    for n in range(5):
        s3.put_object(Bucket=name, Key=f"a/{n}", Body=b"x")
    shell(f"aws s3 rb --force s3://{name}")
    assert name not in shell("aws s3 ls")


def test_s3api_objects(shell, folder, bucket):
    (folder / "f").write_text("hello")

    def api(command):
        out = shell(f"aws s3api {command} --bucket {bucket}")
        return json.loads(out) if out.strip() else {}

    put = api("put-object --key cli/k --body f --metadata a=1,b=2 --content-type text/plain --checksum-algorithm SHA256")
    assert put["ChecksumSHA256"]
    head = api("head-object --key cli/k --checksum-mode ENABLED")
    assert (head["ContentLength"], head["Metadata"], head["ETag"]) == (5, {"a": "1", "b": "2"}, put["ETag"])
    assert head["ChecksumSHA256"] == put["ChecksumSHA256"]
    shell(f"aws s3api get-object --bucket {bucket} --key cli/k --range bytes=1-3 out")
    assert (folder / "out").read_text() == "ell"
    api(f"copy-object --key cli/copy --copy-source {bucket}/cli/k")
    assert [o["Key"] for o in api("list-objects-v2 --prefix cli/")["Contents"]] == ["cli/copy", "cli/k"]
    assert [o["Key"] for o in api("list-objects --prefix cli/ --max-items 1")["Contents"]] == ["cli/copy"]
    assert api("get-bucket-location").get("LocationConstraint") is None
    deleted = api("delete-objects --delete 'Objects=[{Key=cli/k},{Key=cli/copy}]'")["Deleted"]
    assert {d["Key"] for d in deleted} == {"cli/k", "cli/copy"}
    assert "(404)" in shell(f"aws s3api head-object --bucket {bucket} --key cli/k", fails=True)
    assert "NoSuchKey" in shell(f"aws s3api get-object --bucket {bucket} --key cli/k out", fails=True)


def test_s3api_multipart(shell, folder, bucket):
    (folder / "f").write_bytes(b"x" * 5 * 1024 * 1024)

    def api(command):
        out = shell(f"aws s3api {command} --bucket {bucket} --key cli/parts")
        return json.loads(out) if out.strip() else {}

    upload = api("create-multipart-upload")["UploadId"]
    etags = [api(f"upload-part --upload-id {upload} --part-number {n} --body f")["ETag"] for n in (1, 2)]
    parts = api(f"list-parts --upload-id {upload}")["Parts"]
    assert [(p["PartNumber"], p["ETag"]) for p in parts] == list(enumerate(etags, 1))
    (folder / "parts.json").write_text(json.dumps(
        {"Parts": [{"PartNumber": n, "ETag": e} for n, e in enumerate(etags, 1)]}))
    assert api(f"complete-multipart-upload --upload-id {upload} --multipart-upload file://parts.json")["ETag"].endswith('-2"')
    other = api("create-multipart-upload")["UploadId"]
    api(f"abort-multipart-upload --upload-id {other}")
    uploads = json.loads(shell(f"aws s3api list-multipart-uploads --bucket {bucket}") or "{}")
    assert "Uploads" not in uploads or all(u["UploadId"] != other for u in uploads["Uploads"])


@pytest.mark.differs("moto", "checks no signatures")
def test_wrong_key_is_told_clearly(shell, bucket):
    said = shell(f"AWS_SECRET_ACCESS_KEY=wrong aws s3 ls s3://{bucket}", fails=True)
    assert "SignatureDoesNotMatch" in said
