"""`granary fs`: what it prints and how it ends, as Hadoop's shell does."""

import os
import subprocess

import pytest


class Shell:
    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *words, code=0):
        argv = [os.environ["GRANARY"], "fs", "--webhdfs", f"http://{os.environ['NAMENODE_HTTP']}", "--user", "hdfs", *words]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture
def tree(shell, directory, tmp_path):
    (tmp_path / "a.txt").write_text("hello\nworld\n")
    (tmp_path / "b.txt").write_text("".join(f"{number}\n" for number in range(2000)))
    shell("-mkdir", "-p", f"{directory}/d/e")
    shell("-put", "a.txt", "b.txt", f"{directory}/d")
    return f"{directory}/d"


def test_copies_and_merges(shell, tree, tmp_path):
    directory = tree.rsplit("/", 1)[0]
    shell("-cp", tree, f"{directory}/copy")
    assert shell("-cat", f"{directory}/copy/a.txt") == "hello\nworld\n"
    assert shell("-cp", f"{tree}/a.txt", f"{tree}/a.txt", code=1) == f"cp: `{tree}/a.txt' to `{tree}/a.txt': are identical\n"
    assert shell("-cp", f"{tree}/a.txt", f"{tree}/b.txt", code=1) == f"cp: `{tree}/b.txt': File exists\n"
    assert "is a subdirectory of itself" in shell("-cp", tree, f"{tree}/e", code=1)
    assert shell("-cp", f"{tree}/a.txt", f"{directory}/none/x", code=1) == f"cp: `{directory}/none/x': No such file or directory\n"
    shell("-cp", "-f", f"{tree}/a.txt", f"{tree}/b.txt")
    shell("-getmerge", "-nl", f"{tree}/a.txt", f"{tree}/b.txt", "merged")
    assert (tmp_path / "merged").read_text() == "hello\nworld\n\n" * 2


def test_finds_by_name(shell, tree):
    assert shell("-find", tree, "-name", "*.txt") == f"{tree}/a.txt\n{tree}/b.txt\n"
    assert shell("-find", tree) == f"{tree}\n{tree}/a.txt\n{tree}/b.txt\n{tree}/e\n"
    assert shell("-find", f"{tree}/nope", code=1) == f"find: `{tree}/nope': No such file or directory\n"


def test_lists_attributes_and_checksums(shell, tree):
    shell("-setfacl", "-m", "user:bob:rwx,default:group:etl:r-x", tree)
    shown = shell("-getfacl", tree)
    assert shown.startswith(f"# file: {tree}\n# owner: hdfs\n# group: supergroup\nuser::rwx\nuser:bob:rwx\n")
    assert "default:group:etl:r-x\n" in shown and shown.endswith("\n\n")
    shell("-setfattr", "-n", "user.a", "-v", "hello", f"{tree}/a.txt")
    assert shell("-getfattr", "-n", "user.a", f"{tree}/a.txt") == f'# file: {tree}/a.txt\nuser.a="hello"\n'
    assert shell("-getfattr", "-d", "-e", "hex", f"{tree}/a.txt") == f"# file: {tree}/a.txt\nuser.a=0x68656c6c6f\n"
    shell("-setfattr", "-x", "user.a", f"{tree}/a.txt")
    assert shell("-getfattr", "-d", f"{tree}/a.txt") == f"# file: {tree}/a.txt\n"
    assert shell("-checksum", f"{tree}/a.txt").startswith(f"{tree}/a.txt\tMD5-of-0MD5-of-512CRC32C\t00000200000000000000000")
    assert shell("-checksum", tree, code=1) == f"checksum: `{tree}': Is a directory\n"


def test_touches(shell, tree):
    shell("-touch", "-t", "20200102:030405", f"{tree}/a.txt", f"{tree}/new")
    assert shell("-stat", "%y %b", f"{tree}/new") == "2020-01-02 03:04:05 0\n"
    assert shell("-stat", "%y %b", f"{tree}/a.txt") == "2020-01-02 03:04:05 12\n"
    shell("-touch", "-c", f"{tree}/absent")
    assert shell("-test", "-e", f"{tree}/absent", code=1) == ""
    shell("-touch", "-t", "yesterday", f"{tree}/new", code=255)


def test_the_trash(shell, tree, web):
    bucket = tree.rsplit("/", 1)[0]
    trash = f"{bucket}/.Trash/hdfs"
    assert web.json("GET", tree, "GETTRASHROOT") == {"Path": trash}
    shell("-rm", f"{tree}/a.txt")
    assert shell("-cat", f"{trash}/Current{tree}/a.txt") == "hello\nworld\n"
    shell("-rm", "-r", tree)
    # The name is taken in the trash: the directory gets another.
    assert len(shell("-find", f"{trash}/Current", "-name", "d*").splitlines()) == 2
    shell("-rm", "-skipTrash", f"{trash}/Current{tree}/a.txt")
    shell("-test", "-e", f"{trash}/Current{tree}/a.txt", code=1)
    assert shell("-expunge").startswith("Created trash checkpoint: ")
    shell("-test", "-e", f"{trash}/Current", code=1)
    shell("-expunge", "-immediate")
    assert shell("-ls", trash) == ""


def test_follows_a_file_that_grows(shell, tree, web):
    argv = [os.environ["GRANARY"], "fs", "--webhdfs", f"http://{os.environ['NAMENODE_HTTP']}", "--user", "hdfs"]
    argv += ["-tail", "-f", "-s", "50", f"{tree}/a.txt"]
    follower = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert [follower.stdout.readline() for _ in range(2)] == ["hello\n", "world\n"]
        assert web.send("POST", f"{tree}/a.txt", "APPEND", b"again\n").status_code == 200
        assert follower.stdout.readline() == "again\n"
    finally:
        follower.kill()
        follower.wait()
