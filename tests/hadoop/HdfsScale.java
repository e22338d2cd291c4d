import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;

/**
 * Many at once: `HdfsScale URI FILES RENAME_MS_MAX WRITERS FLUSHES`. A directory of FILES files is listed in order and renamed,
 * the median of renames within the limit; then WRITERS files are written and flushed line by line while one reader after
 * another tails them, and every flushed line is seen.
 */
public class HdfsScale {
    private static final int THREADS = 16;
    private static final int RENAMES = 21;
    private static final int LINE = 100;
    /** How long the reader waits for a flush before it asks whether anybody still writes. */
    private static final long AWAITED_MS = 20;
    /** How far a writer runs ahead of the reader, so that files are read while they are written. */
    private static final long LAG_BYTES = 3 * LINE;

    public static void main(String[] args) throws Exception {
        Configuration conf = new Configuration();
        conf.set("dfs.replication", "1");
        FileSystem fs = FileSystem.get(URI.create(args[0]), conf);
        Path base = new Path("/scale");
        fs.delete(base, true);
        fs.mkdirs(base);
        directory(fs, base, Integer.parseInt(args[1]), Double.parseDouble(args[2]));
        flushes(fs, base, Integer.parseInt(args[3]), Integer.parseInt(args[4]));
        fs.delete(base, true);
        System.exit(0);
    }

    private static void directory(FileSystem fs, Path base, int files, double limitMs) throws Exception {
        Path directory = new Path(base, "many");
        AtomicInteger next = new AtomicInteger();
        inParallel(THREADS, thread -> {
            for (int number = next.getAndIncrement(); number < files; number = next.getAndIncrement()) {
                fs.create(new Path(directory, String.format("f%07d", number)), false).close();
            }
        });
        long start = System.nanoTime();
        String last = "";
        int seen = 0;
        RemoteIterator<FileStatus> entries = fs.listStatusIterator(directory);
        while (entries.hasNext()) {
            String name = entries.next().getPath().getName();
            check(name.compareTo(last) > 0, name + " follows " + last);
            last = name;
            seen++;
        }
        check(seen == files, seen + " of " + files + " files are listed");
        double listed = (System.nanoTime() - start) / 1e6;
        double[] took = new double[RENAMES];
        Path from = directory;
        for (int round = 0; round < RENAMES; round++) {
            Path to = new Path(base, "many" + round);
            start = System.nanoTime();
            check(fs.rename(from, to), "renamed");
            took[round] = (System.nanoTime() - start) / 1e6;
            from = to;
        }
        check(fs.exists(new Path(from, last)) && !fs.exists(directory), "everything came along");
        Arrays.sort(took);
        double median = took[RENAMES / 2];
        System.out.printf("  %d files: listed in order in %.0f ms, renamed in %.2f ms (median of %d, %.2f at most)%n",
            files, listed, median, RENAMES, took[RENAMES - 1]);
        check(median <= limitMs, median + " ms");
    }

    private static void flushes(FileSystem fs, Path base, int writers, int flushes) throws Exception {
        AtomicLongArray flushed = new AtomicLongArray(writers);
        AtomicLongArray verified = new AtomicLongArray(writers);
        AtomicBoolean reading = new AtomicBoolean(true);
        ExecutorService pool = Executors.newFixedThreadPool(writers + 1);
        List<Future<?>> running = new ArrayList<>();
        for (int number = 0; number < writers; number++) {
            int writer = number;
            running.add(pool.submit(() -> {
                try (FSDataOutputStream out = fs.create(new Path(base, "log" + writer), false)) {
                    for (int line = 1; line <= flushes; line++) {
                        out.write(line(writer, line));
                        out.hflush();
                        flushed.set(writer, (long) line * LINE);
                        synchronized (flushed) {
                            flushed.notifyAll();
                            while (reading.get() && flushed.get(writer) - verified.get(writer) > LAG_BYTES) {
                                flushed.wait(AWAITED_MS);
                            }
                        }
                    }
                }
                return null;
            }));
        }
        Future<Integer> tail = pool.submit(() -> {
            try {
                return tail(fs, base, running, flushed, verified);
            } finally {
                reading.set(false);
            }
        });
        for (Future<?> one : running) {
            one.get();
        }
        System.out.printf("  %d writers, %d flushes each: every flushed byte was seen, by %d looks%n", writers, flushes, tail.get());
        pool.shutdown();
    }

    /** Looks at whatever was flushed since the last look until nobody writes; how often. */
    private static int tail(FileSystem fs, Path base, List<Future<?>> running, AtomicLongArray flushed, AtomicLongArray verified)
            throws Exception {
        int looks = 0;
        boolean open = true;
        while (open) {
            open = running.stream().anyMatch(one -> !one.isDone());
            int before = looks;
            for (int writer = 0; writer < flushed.length(); writer++) {
                if (flushed.get(writer) > verified.get(writer)) {
                    verified.set(writer, look(fs, base, writer, verified.get(writer), flushed.get(writer)));
                    looks++;
                }
            }
            if (looks == before && open) {
                synchronized (flushed) {
                    flushed.wait(AWAITED_MS);
                }
            }
        }
        for (int writer = 0; writer < flushed.length(); writer++) {
            check(verified.get(writer) == flushed.get(writer), "writer " + writer + ": " + verified.get(writer) + " bytes");
        }
        return looks;
    }

    /** Reads what was flushed before the look, and perhaps more; where it ends. */
    private static long look(FileSystem fs, Path base, int writer, long from, long flushed) throws Exception {
        byte[] seen;
        try (FSDataInputStream in = fs.open(new Path(base, "log" + writer))) {
            in.seek(from);
            seen = in.readAllBytes();
        }
        check(from + seen.length >= flushed, "writer " + writer + ": " + (from + seen.length) + " of " + flushed + " flushed bytes");
        int whole = seen.length / LINE * LINE;
        for (int at = 0; at < whole; at += LINE) {
            byte[] expected = line(writer, (int) ((from + at) / LINE) + 1);
            check(Arrays.equals(expected, 0, LINE, seen, at, at + LINE), "writer " + writer + ": another line at " + (from + at));
        }
        return from + whole;
    }

    private static byte[] line(int writer, int line) {
        String text = String.format("writer %d line %d ", writer, line);
        byte[] bytes = new byte[LINE];
        Arrays.fill(bytes, (byte) '.');
        System.arraycopy(text.getBytes(), 0, bytes, 0, text.length());
        bytes[LINE - 1] = '\n';
        return bytes;
    }

    interface Work {
        void run(int thread) throws Exception;
    }

    private static void inParallel(int width, Work work) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(width);
        List<Future<?>> running = new ArrayList<>();
        for (int thread = 0; thread < width; thread++) {
            int number = thread;
            running.add(pool.submit(() -> {
                work.run(number);
                return null;
            }));
        }
        for (Future<?> one : running) {
            one.get();
        }
        pool.shutdown();
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }
}
