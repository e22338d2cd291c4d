import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * How fast a file system is to a stock client: `HdfsFigures URI THREADS FILES MEGABYTES ROUNDS REPLICAS...`. Prints one line
 * `figure NAME VALUE` for each measurement of each round; calls and files a second, MiB a second. A first round warms up and is
 * not printed.
 */
public class HdfsFigures {
    interface Work {
        void run(int number) throws Exception;
    }

    private static final long MIB = 1 << 20;
    private static final int SMALL_BYTES = 4096;
    /** Calls that only read are quick: there are as many more of them. */
    private static final int READS_FOR_EACH_FILE = 4;

    private final FileSystem fs;
    private final ExecutorService threads;
    private final int width;
    private final int files;

    private HdfsFigures(FileSystem fs, int width, int files) {
        this.fs = fs;
        this.width = width;
        this.files = files;
        this.threads = Executors.newFixedThreadPool(width);
    }

    public static void main(String[] args) throws Exception {
        Configuration conf = new Configuration();
        conf.set("dfs.replication", "1");
        FileSystem fs = FileSystem.get(URI.create(args[0]), conf);
        int megabytes = Integer.parseInt(args[3]);
        int rounds = Integer.parseInt(args[4]);
        HdfsFigures figures = new HdfsFigures(fs, Integer.parseInt(args[1]), Integer.parseInt(args[2]));
        fs.mkdirs(new Path("/figures"));
        for (int round = 0; round <= rounds; round++) {
            Path base = new Path("/figures/round" + round);
            if (figures.files > 0) {
                figures.calls(base, round > 0);
            }
            for (int at = 5; at < args.length && megabytes > 0; at++) {
                figures.stream(base, megabytes, Short.parseShort(args[at]), round > 0);
            }
            fs.delete(base, true);
        }
        fs.delete(new Path("/figures"), true);
        System.exit(0);
    }

    private Path of(Path base, String kind, int number) {
        return new Path(base, kind + "/" + number % width + "/" + number);
    }

    private void calls(Path base, boolean shown) throws Exception {
        for (String kind : new String[] {"made", "empty", "small", "renamed"}) {
            for (int part = 0; part < width; part++) {
                fs.mkdirs(new Path(base, kind + "/" + part));
            }
        }
        byte[] content = new byte[SMALL_BYTES];
        show(shown, "mkdirs", rate(files, number -> fs.mkdirs(of(base, "made", number))));
        show(shown, "create+complete", rate(files, number -> fs.create(of(base, "empty", number), false).close()));
        show(shown, "4 KiB files", rate(files, number -> {
            try (OutputStream out = fs.create(of(base, "small", number), false)) {
                out.write(content);
            }
        }));
        show(shown, "getFileInfo", rate(files * READS_FOR_EACH_FILE,
            number -> fs.getFileStatus(of(base, "empty", number % files))));
        show(shown, "rename", rate(files, number -> {
            if (!fs.rename(of(base, "empty", number), of(base, "renamed", number))) {
                throw new IllegalStateException("not renamed");
            }
        }));
    }

    private void stream(Path base, int megabytes, short replicas, boolean shown) throws Exception {
        Path file = new Path(base, "large" + replicas);
        byte[] piece = new byte[(int) MIB];
        for (int at = 0; at < piece.length; at++) {
            piece[at] = (byte) (at * 31 + at / 509);
        }
        long start = System.nanoTime();
        try (OutputStream out = fs.create(file, true, 1 << 16, replicas, 128 * MIB)) {
            for (int written = 0; written < megabytes; written++) {
                out.write(piece);
            }
        }
        show(shown, "write, " + replicas + " replicas", megabytes / seconds(start));
        start = System.nanoTime();
        long read = 0;
        try (InputStream in = fs.open(file)) {
            for (int bytes = in.read(piece); bytes >= 0; bytes = in.read(piece)) {
                read += bytes;
            }
        }
        if (read != megabytes * MIB) {
            throw new IllegalStateException(read + " bytes read");
        }
        show(shown, "read, " + replicas + " replicas", megabytes / seconds(start));
        fs.delete(file, false);
    }

    private double rate(int count, Work work) throws Exception {
        AtomicInteger next = new AtomicInteger();
        List<Future<?>> running = new ArrayList<>();
        long start = System.nanoTime();
        for (int thread = 0; thread < width; thread++) {
            running.add(threads.submit(() -> {
                for (int number = next.getAndIncrement(); number < count; number = next.getAndIncrement()) {
                    work.run(number);
                }
                return null;
            }));
        }
        for (Future<?> one : running) {
            one.get();
        }
        return count / seconds(start);
    }

    private static double seconds(long start) {
        return (System.nanoTime() - start) / 1e9;
    }

    private static void show(boolean shown, String name, double value) {
        if (shown) {
            System.out.printf("figure\t%s\t%.2f%n", name, value);
            System.out.flush();
        }
    }
}
