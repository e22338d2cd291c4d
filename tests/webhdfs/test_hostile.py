"""Bytes nobody sends on purpose, on every port of the Hadoop door: the server answers or hangs up, lives and does not grow.

FUZZ_SECONDS is divided among the ports. A failing run prints its seed; FUZZ_SEED repeats it.
"""

import os
import random
import socket
import time

import pytest

TRANSFER = [
    # READ_BLOCK, WRITE_BLOCK and BLOCK_CHECKSUM of a block without a token, then packets as Apache's were captured.
    bytes.fromhex("001c51" "20" "0a1a0a0f0a0d0a0442502d31100118e90720061207636c69656e745f31" "1000" "1806"),
    bytes.fromhex("001c50" "2e" "0a1a0a0f0a0d0a0442502d31100118e90720061207636c69656e745f31" "2006280130003800" "4000" "4a050802108004"),
    bytes.fromhex("001c55" "11" "0a0f0a0d0a0442502d31100118e9072006"),
    bytes.fromhex("0000000e001909000000000000000011000000000000000018002506000000353dd8be68656c6c6f0a"),
    bytes.fromhex("00000004001909060000000000000011010000000000000018012500000000"),
    bytes.fromhex("deadbeef"),
]
RPC = [
    b"hrpc\x09\x00\x00",
    bytes.fromhex("00000058") + bytes.fromhex("1e080210001805221000112233445566778899aabbccddeeff28ffffffffffffffffff01"),
    bytes.fromhex("0000001a0f08021000180422007008012a0440010a0e0a06726f6f74"),
    b"GET / HTTP/1.1\r\n\r\n",
]
HTTP = [
    b"GET /webhdfs/v1/?op=LISTSTATUS&user.name=hdfs HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PUT /webhdfs/v1/t/f?op=CREATE&overwrite=true&permission=644&user.name=hdfs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /webhdfs/v1/t?op=MKDIRS&permission=755&user.name=hdfs HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /webhdfs/v1/t/f?op=APPEND&user.name=hdfs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /webhdfs/v1/t/f?op=OPEN&offset=1&length=2&delegation=AAAA&user.name=hdfs HTTP/1.1\r\nHost: x\r\nAuthorization: Basic QTpC\r\n\r\n",
]
PORTS = {"DATANODE_TRANSFER": TRANSFER, "DATANODE_IPC": RPC, "NAMENODE_RPC": RPC, "NAMENODE_HTTP": HTTP, "DATANODE_HTTP": HTTP}
GROWTH_KIB_MAX = 192 * 1024


def mutated(rng, seeds):
    """Some of the seeds in a row, with flipped, repeated, missing and foreign bytes."""
    parts = bytearray(b"".join(rng.choices(seeds, k=rng.randint(1, 4))))
    for _ in range(rng.randint(0, 6)):
        at = rng.randrange(len(parts) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(parts):
            parts[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            parts[at:at] = rng.randbytes(rng.randint(1, 16))
        elif kind == 2:
            del parts[at:at + rng.randint(1, 16)]
        elif kind == 3:
            parts[at:at] = parts[max(0, at - 32):at] * rng.randint(1, 4)
        elif kind == 4 and at < len(parts):
            parts[at] = rng.choice([0, 0x7f, 0x80, 0xff])
        parts = parts or bytearray(b"\0")
    return bytes(parts)


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("port", PORTS)
def test_hostile_bytes(port, web):
    seconds = float(os.environ["FUZZ_SECONDS"]) / len(PORTS)
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"FUZZ_SEED={seed}")
    rng, pid = random.Random(seed), int(os.environ["SERVER_PID"])
    host, number = os.environ[port].split(":")
    before, rounds, deadline = resident_kib(pid), 0, time.monotonic() + seconds
    while time.monotonic() < deadline or rounds <= 10:
        with socket.create_connection((host, int(number)), timeout=60) as connection:
            connection.settimeout(0.05)
            try:
                connection.sendall(mutated(rng, PORTS[port]))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass  # Hung up on, or waited for: both are answers.
        rounds += 1
    assert web.ask("GET", "/", "LISTSTATUS").status_code == 200, "the server does not answer any more"
    assert resident_kib(pid) - before < GROWTH_KIB_MAX, f"grew over {rounds} connections"
