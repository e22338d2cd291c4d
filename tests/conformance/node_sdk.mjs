// Drives the AWS SDK for JavaScript v3 against S3_ENDPOINT_URL and prints one JSON line a step: {step, error}.
// Run by test_node_sdk.py; a step that fails does not stop those after it. Packages come from S3_TEST_NODE_MODULES.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

const load = createRequire(`${process.env.S3_TEST_NODE_MODULES}/`);
const S3 = load("@aws-sdk/client-s3");
const { Upload } = load("@aws-sdk/lib-storage");
const { createPresignedPost } = load("@aws-sdk/s3-presigned-post");
const { getSignedUrl } = load("@aws-sdk/s3-request-presigner");

const MIB = 1024 * 1024;
const Bucket = process.argv[2];
const connect = (options) => new S3.S3Client({
  endpoint: process.env.S3_ENDPOINT_URL,
  region: process.env.AWS_REGION,
  forcePathStyle: true,
  maxAttempts: 1,
  ...options,
});
const client = connect({});
const send = (Command, input) => client.send(new S3[Command]({ Bucket, ...input }));
const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const bytesOf = async (answer) => Buffer.from(await answer.Body.transformToByteArray());

function pattern(size) {
  const data = Buffer.alloc(size);
  for (let i = 0; i + 4 <= size; i += 4) data.writeUInt32LE((i * 2654435761) >>> 0, i);
  return data;
}

function* slices(data, size) {
  for (let i = 0; i < data.length; i += size) yield data.subarray(i, i + size);
}

const steps = {
  async "buffer"() {
    const put = await send("PutObjectCommand", { Key: "n/buffer", Body: Buffer.from("hello"), Metadata: { a: "1" } });
    assert.equal(put.ETag, '"5d41402abc4b2a76b9719d911017c592"');
    assert.equal(put.ChecksumCRC32, "NhCmhg==");
    const got = await send("GetObjectCommand", { Key: "n/buffer" });
    assert.equal(await got.Body.transformToString(), "hello");
    assert.deepEqual(got.Metadata, { a: "1" });
  },

  // A stream is sent as STREAMING-UNSIGNED-PAYLOAD-TRAILER, over plain http too.
  async "stream"() {
    const data = pattern(3 * MIB + 5);
    await send("PutObjectCommand", { Key: "n/stream", Body: Readable.from(slices(data, 70_001)), ContentLength: data.length });
    const got = await send("GetObjectCommand", { Key: "n/stream" });
    assert.equal(got.ContentLength, data.length);
    assert.equal(got.ContentEncoding, undefined);
    assert.equal(sha256(await bytesOf(got)), sha256(data));
  },

  async "upload of a 20 MB stream"() {
    const data = pattern(20 * MIB + 1);
    const upload = new Upload({
      client, queueSize: 3, partSize: 6 * MIB,
      params: { Bucket, Key: "n/upload", Body: Readable.from(slices(data, 100_000)), ContentType: "application/x-node" },
    });
    const done = await upload.done();
    assert.match(done.ETag, /-4"$/);
    const got = await send("GetObjectCommand", { Key: "n/upload" });
    assert.equal(got.ContentType, "application/x-node");
    assert.equal(sha256(await bytesOf(got)), sha256(data));
  },

  async "upload aborted leaves nothing"() {
    const upload = new Upload({ client, params: { Bucket, Key: "n/aborted", Body: Readable.from(slices(pattern(12 * MIB), MIB)) } });
    upload.on("httpUploadProgress", () => upload.abort());
    await assert.rejects(upload.done());
    const listed = await send("ListObjectsV2Command", { Prefix: "n/aborted" });
    assert.equal(listed.KeyCount, 0);
  },

  async "range"() {
    await send("PutObjectCommand", { Key: "n/range", Body: "0123456789" });
    const got = await send("GetObjectCommand", { Key: "n/range", Range: "bytes=2-4" });
    assert.equal(got.ContentRange, "bytes 2-4/10");
    assert.equal(await got.Body.transformToString(), "234");
  },

  // Without WHEN_REQUIRED this SDK signs the CRC32 of an empty body into the URL, and no real upload matches it.
  async "presigned fetch"() {
    const signer = connect({ requestChecksumCalculation: "WHEN_REQUIRED" });
    const put = await getSignedUrl(signer, new S3.PutObjectCommand({ Bucket, Key: "n/presigned ü+" }), { expiresIn: 60 });
    const answer = await fetch(put, { method: "PUT", body: "from fetch", headers: { "content-type": "text/plain" } });
    assert.equal(answer.status, 200, await answer.text());
    const get = await getSignedUrl(client, new S3.GetObjectCommand({ Bucket, Key: "n/presigned ü+" }), { expiresIn: 60 });
    const read = await fetch(get);
    assert.equal(read.headers.get("content-type"), "text/plain");
    assert.equal(await read.text(), "from fetch");
  },

  async "presigned post"() {
    const form = async (Key, file, extra = {}) => {
      const { url, fields } = await createPresignedPost(client, {
        Bucket, Key: "n/post/${filename}", Expires: 60,
        Conditions: [["content-length-range", 1, 100], ["starts-with", "$Content-Type", "text/"]],
        Fields: { "x-amz-meta-from": "form", success_action_status: "201" },
      });
      const data = new FormData();
      for (const [name, value] of Object.entries({ ...fields, "Content-Type": "text/plain", ...extra })) data.append(name, value);
      data.append("file", new Blob([file]), Key);
      return fetch(url, { method: "POST", body: data });
    };
    const stored = await form("a ü.txt", "posted");
    assert.equal(stored.status, 201, await stored.clone().text());
    assert.match(await stored.text(), /<Key>n\/post\/a ü.txt<\/Key>/);
    const got = await send("GetObjectCommand", { Key: "n/post/a ü.txt" });
    assert.equal(await got.Body.transformToString(), "posted");
    assert.deepEqual([got.ContentType, got.Metadata], ["text/plain", { from: "form" }]);

    const code = async (answer) => [answer.status, (await answer.text()).match(/<Code>(.*)<\/Code>/)[1]];
    assert.deepEqual(await code(await form("long", "x".repeat(101))), [400, "EntityTooLarge"]);
    assert.deepEqual(await code(await form("type", "x", { "Content-Type": "image/png" })), [403, "AccessDenied"]);
    assert.deepEqual(await code(await form("extra", "x", { "x-amz-meta-other": "1" })), [403, "AccessDenied"]);
    const listed = await send("ListObjectsV2Command", { Prefix: "n/post/" });
    assert.deepEqual(listed.Contents.map((o) => o.Key), ["n/post/a ü.txt"]);
  },

  async "parts by presigned URLs"() {
    const Key = "n/parts by URL";
    const { UploadId } = await send("CreateMultipartUploadCommand", { Key });
    const data = [pattern(5 * MIB), pattern(1000)];
    const signer = connect({ requestChecksumCalculation: "WHEN_REQUIRED" });
    const Parts = [];
    for (const [index, body] of data.entries()) {
      const PartNumber = index + 1;
      const url = await getSignedUrl(signer, new S3.UploadPartCommand({ Bucket, Key, UploadId, PartNumber }), { expiresIn: 60 });
      const answer = await fetch(url, { method: "PUT", body });
      assert.equal(answer.status, 200);
      Parts.push({ PartNumber, ETag: answer.headers.get("etag") });
    }
    await send("CompleteMultipartUploadCommand", { Key, UploadId, MultipartUpload: { Parts } });
    assert.equal(sha256(await bytesOf(await send("GetObjectCommand", { Key }))), sha256(Buffer.concat(data)));
  },

  async "list in pages"() {
    const keys = ["p/a b", "p/a+b", "p/a/b", "p/é", "p/\u{1f600}", "p/%2F"];
    for (const Key of keys) await send("PutObjectCommand", { Key, Body: "x" });
    const seen = [];
    for await (const page of S3.paginateListObjectsV2({ client, pageSize: 2 }, { Bucket, Prefix: "p/" })) {
      assert.ok(page.Contents.length <= 2);
      seen.push(...page.Contents.map((o) => o.Key));
    }
    const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    assert.deepEqual(seen, keys.sort(byBytes));
    const grouped = await send("ListObjectsV2Command", { Prefix: "p/", Delimiter: "/" });
    assert.deepEqual(grouped.CommonPrefixes.map((p) => p.Prefix), ["p/a/"]);
  },

  async "copy, head, delete"() {
    await send("PutObjectCommand", { Key: "n/source", Body: "body", CacheControl: "no-store" });
    await send("CopyObjectCommand", { Key: "n/copy", CopySource: `${Bucket}/n/source` });
    assert.equal((await send("HeadObjectCommand", { Key: "n/copy" })).CacheControl, "no-store");
    await send("DeleteObjectCommand", { Key: "n/source" });
    const done = await send("DeleteObjectsCommand", { Delete: { Objects: [{ Key: "n/copy" }, { Key: "n/never" }] } });
    assert.equal(done.Deleted.length, 2);
    await assert.rejects(send("GetObjectCommand", { Key: "n/copy" }), { name: "NoSuchKey" });
    await assert.rejects(send("HeadObjectCommand", { Key: "n/copy" }), (e) => e.$metadata.httpStatusCode === 404);
  },

  async "conditional"() {
    await send("PutObjectCommand", { Key: "n/once", Body: "1", IfNoneMatch: "*" });
    await assert.rejects(send("PutObjectCommand", { Key: "n/once", Body: "2", IfNoneMatch: "*" }), { name: "PreconditionFailed" });
  },

  async "buckets"() {
    const listed = await client.send(new S3.ListBucketsCommand({}));
    assert.ok(listed.Buckets.some((b) => b.Name === Bucket && b.CreationDate instanceof Date));
    await send("HeadBucketCommand", {});
    await assert.rejects(client.send(new S3.ListObjectsV2Command({ Bucket: "conformance-no-such-bucket" })), { name: "NoSuchBucket" });
  },
};

for (const [step, run] of Object.entries(steps)) {
  let error = null;
  try {
    await run();
  } catch (thrown) {
    error = `${thrown?.stack ?? thrown}`;
  }
  console.log(JSON.stringify({ step, error }));
}
// A failed step may leave an unread body behind, whose connection would keep the process or bring it down.
process.exit(0);
