import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PrivilegedExceptionAction;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.EnumSet;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FsShell;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsAction;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.ipc.RemoteException;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.util.ToolRunner;

/**
 * Runs the lines of a script against one file system, all in one JVM: FsShell commands, and calls of the FileSystem API
 * ("api NAME ..."). A line may begin with "@user". Prints for each line "exit code, standard output, standard error", the
 * texts in base64, so that a runner can compare two file systems.
 *
 * Usage: HdfsScript URI SCRIPT [key=value...]
 */
public class HdfsScript {
    private final Configuration conf;

    HdfsScript(Configuration conf) {
        this.conf = conf;
    }

    public static void main(String[] args) throws Exception {
        Configuration conf = new Configuration();
        conf.set("fs.defaultFS", args[0]);
        conf.set("dfs.replication", "1");
        conf.set("dfs.blocksize", "1048576");
        conf.set("fs.permissions.umask-mode", "022");
        conf.set("dfs.client.block.write.replace-datanode-on-failure.policy", "NEVER");
        for (String setting : Arrays.asList(args).subList(2, args.length)) {
            String[] pair = setting.split("=", 2);
            conf.set(pair[0], pair[1]);
        }
        PrintStream report = System.out;
        HdfsScript script = new HdfsScript(conf);
        for (String line : Files.readAllLines(Path.of(args[1]))) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            script.run(line, report);
        }
        report.flush();
        System.exit(0);
    }

    private void run(String line, PrintStream report) throws Exception {
        List<String> words = split(line);
        String user = UserGroupInformation.getCurrentUser().getShortUserName();
        if (words.get(0).startsWith("@")) {
            user = words.remove(0).substring(1);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream outBefore = System.out;
        PrintStream errBefore = System.err;
        System.setOut(new PrintStream(out, true, "UTF-8"));
        System.setErr(new PrintStream(err, true, "UTF-8"));
        int code;
        long start = System.nanoTime();
        try {
            UserGroupInformation ugi = UserGroupInformation.createRemoteUser(user);
            code = ugi.doAs((PrivilegedExceptionAction<Integer>) () -> once(words));
        } finally {
            System.setOut(outBefore);
            System.setErr(errBefore);
        }
        long ms = (System.nanoTime() - start) / 1_000_000;
        report.println(code + "\t" + base64(out) + "\t" + base64(err) + "\t" + ms + "\t" + line);
    }

    private int once(List<String> words) throws Exception {
        if (words.get(0).equals("api")) {
            try {
                System.out.println(api(words.subList(1, words.size())));
                return 0;
            } catch (RemoteException error) {
                System.err.println(error.getClassName() + ": " + first(error.getMessage()));
                return 1;
            } catch (Exception error) {
                System.err.println(error.getClass().getName() + ": " + first(error.getMessage()));
                return 1;
            }
        }
        FsShell shell = new FsShell(new Configuration(conf));
        try {
            return ToolRunner.run(shell, words.toArray(new String[0]));
        } finally {
            shell.close();
        }
    }

    private String api(List<String> words) throws Exception {
        try (FileSystem opened = FileSystem.newInstance(new URI(conf.get("fs.defaultFS")), conf)) {
            DistributedFileSystem fs = (DistributedFileSystem) opened;
            List<org.apache.hadoop.fs.Path> paths = new ArrayList<>();
            for (String word : words.subList(1, words.size())) {
                paths.add(word.startsWith("/") ? new org.apache.hadoop.fs.Path(word) : null);
            }
            String last = words.get(words.size() - 1);
            switch (words.get(0)) {
                case "mkdirs":
                    return "" + fs.mkdirs(paths.get(0));
                case "mkdir":
                    fs.mkdir(paths.get(0), FsPermission.getDirDefault());
                    return "made";
                case "exists":
                    return "" + fs.exists(paths.get(0));
                case "delete":
                    return "" + fs.delete(paths.get(0), last.equals("recursive"));
                case "rename":
                    return "" + fs.rename(paths.get(0), paths.get(1));
                case "rename2":
                    rename2(fs, paths.get(0), paths.get(1), last.equals("overwrite"));
                    return "renamed";
                case "create":
                    return create(fs, paths.get(0), last);
                case "write":
                    return write(fs, paths.get(0), Integer.parseInt(last));
                case "append":
                    return append(fs, paths.get(0), Integer.parseInt(last));
                case "sum":
                    return sum(fs, paths.get(0));
                case "pread":
                    return pread(fs, paths.get(0), Long.parseLong(words.get(2)), Integer.parseInt(words.get(3)));
                case "truncate":
                    return "" + fs.truncate(paths.get(0), Long.parseLong(last));
                case "concat":
                    fs.concat(paths.get(0), paths.subList(1, paths.size()).toArray(new org.apache.hadoop.fs.Path[0]));
                    return "concatenated";
                case "status":
                    return status(fs.getFileStatus(paths.get(0)));
                case "list":
                    return list(fs.listStatus(paths.get(0)));
                case "located":
                    return located(fs.listLocatedStatus(paths.get(0)));
                case "iterate":
                    return iterate(fs.listStatusIterator(paths.get(0)));
                case "files":
                    return located(fs.listFiles(paths.get(0), true));
                case "locations":
                    return locations(fs.getFileBlockLocations(paths.get(0), 0, Long.MAX_VALUE));
                case "hidden":
                    return hidden(fs, paths.get(0));
                case "access":
                    fs.access(paths.get(0), FsAction.getFsAction(last));
                    return "granted";
                case "times":
                    fs.setTimes(paths.get(0), Long.parseLong(words.get(2)), Long.parseLong(words.get(3)));
                    FileStatus timed = fs.getFileStatus(paths.get(0));
                    return timed.getModificationTime() + " " + timed.getAccessTime();
                case "checksum":
                    FileChecksum checksum = fs.getFileChecksum(paths.get(0));
                    return checksum == null ? "none" : checksum.toString();
                case "quota":
                    fs.setQuota(paths.get(0), Long.parseLong(words.get(2)), Long.parseLong(words.get(3)));
                    return fs.getQuotaUsage(paths.get(0)).toString();
                case "policy":
                    fs.setStoragePolicy(paths.get(0), last);
                    return fs.getStoragePolicy(paths.get(0)).getName();
                case "closed":
                    return "" + fs.isFileClosed(paths.get(0));
                case "recover":
                    return "" + fs.recoverLease(paths.get(0));
                case "snapshot":
                    return fs.createSnapshot(paths.get(0), "s1").getName();
                case "symlink":
                    FileSystem.enableSymlinks();
                    fs.createSymlink(paths.get(0), paths.get(1), false);
                    return "linked";
                case "safemode":
                    return "" + fs.isInSafeMode();
                case "defaults":
                    return fs.getServerDefaults().getBytesPerChecksum() + " " + fs.getServerDefaults().getChecksumType();
                case "zone":
                    return "" + fs.getEZForPath(paths.get(0));
                case "ecpolicy":
                    return "" + fs.getErasureCodingPolicy(paths.get(0));
                case "trashroot":
                    return fs.getTrashRoot(paths.get(0)).toUri().getPath();
                case "token":
                    return "" + fs.getDelegationToken("ann");
                default:
                    throw new IllegalArgumentException("no call " + words.get(0));
            }
        }
    }

    @SuppressWarnings("deprecation")
    private static void rename2(
            DistributedFileSystem fs, org.apache.hadoop.fs.Path from, org.apache.hadoop.fs.Path to, boolean overwrite)
            throws Exception {
        fs.rename(from, to, overwrite ? Options.Rename.OVERWRITE : Options.Rename.NONE);
    }

    private static String create(DistributedFileSystem fs, org.apache.hadoop.fs.Path path, String how) throws Exception {
        EnumSet<CreateFlag> flags = switch (how) {
            case "overwrite" -> EnumSet.of(CreateFlag.CREATE, CreateFlag.OVERWRITE);
            default -> EnumSet.of(CreateFlag.CREATE);
        };
        boolean nonRecursive = how.equals("flat");
        FSDataOutputStream stream = nonRecursive
                ? fs.createNonRecursive(path, FsPermission.getFileDefault(), flags, 4096, (short) 1, 1 << 20, null)
                : fs.create(path, FsPermission.getFileDefault(), flags, 4096, (short) 1, 1 << 20, null);
        stream.close();
        return status(fs.getFileStatus(path));
    }

    private static byte[] pattern(int length, int seed) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) ((i * 31 + seed) >>> 3);
        }
        return bytes;
    }

    private static String write(DistributedFileSystem fs, org.apache.hadoop.fs.Path path, int length) throws Exception {
        try (FSDataOutputStream stream = fs.create(path, true)) {
            stream.write(pattern(length, 7));
        }
        return "" + fs.getFileStatus(path).getLen();
    }

    private static String append(DistributedFileSystem fs, org.apache.hadoop.fs.Path path, int length) throws Exception {
        try (FSDataOutputStream stream = fs.append(path)) {
            stream.write(pattern(length, 99));
        }
        return "" + fs.getFileStatus(path).getLen();
    }

    /** Flushes, reads what was flushed while the writer is still at it, syncs, closes. */
    private static String hidden(DistributedFileSystem fs, org.apache.hadoop.fs.Path path) throws Exception {
        StringBuilder seen = new StringBuilder();
        try (FSDataOutputStream stream = fs.create(path, true)) {
            stream.write(pattern(1000, 1));
            stream.hflush();
            seen.append(sum(fs, path)).append(' ');
            stream.write(pattern(500, 2));
            stream.hsync();
            seen.append(sum(fs, path)).append(' ').append(fs.isFileClosed(path)).append(' ');
        }
        return seen.append(sum(fs, path)).append(' ').append(fs.isFileClosed(path)).toString();
    }

    private static String sum(DistributedFileSystem fs, org.apache.hadoop.fs.Path path) throws Exception {
        long hash = 1125899906842597L;
        long length = 0;
        byte[] buffer = new byte[65536];
        try (FSDataInputStream stream = fs.open(path)) {
            for (int read = stream.read(buffer); read > 0; read = stream.read(buffer)) {
                length += read;
                for (int i = 0; i < read; i++) {
                    hash = 31 * hash + buffer[i];
                }
            }
        }
        return length + ":" + Long.toHexString(hash);
    }

    private static String pread(DistributedFileSystem fs, org.apache.hadoop.fs.Path path, long at, int length)
            throws Exception {
        byte[] buffer = new byte[length];
        try (FSDataInputStream stream = fs.open(path)) {
            stream.readFully(at, buffer);
        }
        return Integer.toHexString(Arrays.hashCode(buffer));
    }

    private static String status(FileStatus status) {
        return String.join(
                " ",
                status.getPath().toUri().getPath(),
                status.isDirectory() ? "d" : "f",
                "" + status.getLen(),
                status.getPermission().toString(),
                status.getOwner(),
                status.getGroup(),
                "" + status.getReplication(),
                "" + status.getBlockSize());
    }

    private static String list(FileStatus[] found) {
        StringBuilder text = new StringBuilder();
        for (FileStatus status : found) {
            text.append(status(status)).append('\n');
        }
        return text.toString();
    }

    private static String iterate(RemoteIterator<FileStatus> found) throws Exception {
        StringBuilder text = new StringBuilder();
        while (found.hasNext()) {
            text.append(status(found.next())).append('\n');
        }
        return text.toString();
    }

    private static String located(RemoteIterator<LocatedFileStatus> found) throws Exception {
        StringBuilder text = new StringBuilder();
        while (found.hasNext()) {
            LocatedFileStatus status = found.next();
            text.append(status(status)).append(' ');
            text.append(status.isFile() ? locations(status.getBlockLocations()) : "-").append('\n');
        }
        return text.toString();
    }

    private static String locations(BlockLocation[] found) throws Exception {
        StringBuilder text = new StringBuilder();
        for (BlockLocation location : found) {
            text.append(location.getOffset()).append('+').append(location.getLength());
            text.append('x').append(location.getHosts().length).append(' ');
        }
        return text.toString();
    }

    private static String first(String message) {
        return message == null ? "" : message.split("\n", 2)[0];
    }

    private static List<String> split(String line) {
        List<String> words = new ArrayList<>();
        StringBuilder word = null;
        boolean quoted = false;
        for (char c : line.toCharArray()) {
            if (c == '\'') {
                quoted = !quoted;
                word = word == null ? new StringBuilder() : word;
            } else if (c == ' ' && !quoted) {
                if (word != null) {
                    words.add(word.toString());
                    word = null;
                }
            } else {
                word = word == null ? new StringBuilder() : word;
                word.append(c);
            }
        }
        if (word != null) {
            words.add(word.toString());
        }
        return words;
    }

    private static String base64(ByteArrayOutputStream bytes) {
        return Base64.getEncoder().encodeToString(bytes.toByteArray());
    }
}
