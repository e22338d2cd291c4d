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

/** Makes empty files, a thousand a directory: `HdfsFill URI THREADS FIRST COUNT`. They are numbered from FIRST. */
public class HdfsFill {
    private static final int FILES_OF_A_DIRECTORY = 1000;

    public static void main(String[] args) throws Exception {
        FileSystem fs = FileSystem.get(URI.create(args[0]), new Configuration());
        int width = Integer.parseInt(args[1]);
        AtomicInteger next = new AtomicInteger(Integer.parseInt(args[2]));
        int end = next.get() + Integer.parseInt(args[3]);
        ExecutorService threads = Executors.newFixedThreadPool(width);
        List<Future<?>> running = new ArrayList<>();
        for (int thread = 0; thread < width; thread++) {
            running.add(threads.submit(() -> {
                for (int number = next.getAndIncrement(); number < end; number = next.getAndIncrement()) {
                    String directory = String.format("/fill/d%05d", number / FILES_OF_A_DIRECTORY);
                    fs.create(new Path(directory, String.format("file-%07d", number)), false).close();
                }
                return null;
            }));
        }
        for (Future<?> one : running) {
            one.get();
        }
        System.exit(0);
    }
}
