import java.net.URI;
import java.util.Arrays;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Goes on creating, appending, renaming and deleting through a nameservice while others kill its leader and a datanode; then
 * checks that each call was done exactly once. Says "round N" after each round.
 *
 * Usage: HaWriter SECONDS RPC_ADDRESS...
 */
public class HaWriter {
    public static void main(String[] args) throws Exception {
        Configuration conf = new Configuration();
        conf.set("fs.defaultFS", "hdfs://ns1");
        conf.set("dfs.nameservices", "ns1");
        StringBuilder names = new StringBuilder();
        for (int i = 1; i < args.length; i++) {
            names.append(i > 1 ? "," : "").append("nn").append(i);
            conf.set("dfs.namenode.rpc-address.ns1.nn" + i, args[i]);
        }
        conf.set("dfs.ha.namenodes.ns1", names.toString());
        conf.set(
                "dfs.client.failover.proxy.provider.ns1",
                "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider");
        conf.set("dfs.replication", "3");
        conf.set("dfs.blocksize", "1048576");
        conf.set("dfs.client.socket-timeout", "60000");
        FileSystem fs = FileSystem.get(new URI("hdfs://ns1"), conf);
        Path root = new Path("/hatest");
        fs.mkdirs(root);
        byte[] piece = new byte[300_000];
        for (int i = 0; i < piece.length; i++) {
            piece[i] = (byte) (i * 13 >>> 2);
        }
        long end = System.nanoTime() + Long.parseLong(args[0]) * 1_000_000_000L;
        int rounds = 0;
        try (FSDataOutputStream long_lived = fs.create(new Path(root, "long"))) {
            while (System.nanoTime() < end) {
                Path file = new Path(root, "f" + rounds);
                try (FSDataOutputStream out = fs.create(file, false)) {
                    out.write(piece);
                }
                try (FSDataOutputStream out = fs.append(file)) {
                    out.write(piece, 0, 1000);
                }
                if (!fs.rename(file, new Path(root, "r" + rounds))) {
                    throw new IllegalStateException("rename " + rounds + " was not done");
                }
                if (rounds % 2 == 1 && !fs.delete(new Path(root, "r" + rounds), false)) {
                    throw new IllegalStateException("delete " + rounds + " was not done");
                }
                long_lived.write(piece);
                long_lived.hflush();
                rounds++;
                System.out.println("round " + rounds);
                System.out.flush();
            }
        }
        int left = 0;
        for (FileStatus status : fs.listStatus(root)) {
            String name = status.getPath().getName();
            boolean isLong = name.equals("long");
            long length = isLong ? (long) rounds * piece.length : piece.length + 1000;
            if (status.getLen() != length || !(isLong || name.startsWith("r"))) {
                throw new IllegalStateException(status + " is not as it was written");
            }
            byte[] back = new byte[piece.length];
            try (FSDataInputStream in = fs.open(status.getPath())) {
                for (long at = 0; at + piece.length <= length; at += piece.length) {
                    in.readFully(at, back);
                    if (!Arrays.equals(back, piece)) {
                        throw new IllegalStateException(name + " has other bytes at " + at);
                    }
                }
            }
            left++;
        }
        if (left != rounds - rounds / 2 + 1) {
            throw new IllegalStateException(left + " files after " + rounds + " rounds");
        }
        System.out.println("done " + rounds);
        System.exit(0);
    }
}
