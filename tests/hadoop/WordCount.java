import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.IntWritable;
import org.apache.hadoop.io.LongWritable;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.Mapper;
import org.apache.hadoop.mapreduce.Reducer;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;

/** A MapReduce job under LocalJobRunner with FileOutputCommitter; checks its output. Usage: WordCount URI */
public class WordCount {
    private static final int FILES = 3;
    private static final int LINES = 2000;

    public static class Words extends Mapper<LongWritable, Text, Text, IntWritable> {
        @Override
        protected void map(LongWritable key, Text value, Context context) throws IOException, InterruptedException {
            for (String word : value.toString().split(" ")) {
                context.write(new Text(word), new IntWritable(1));
            }
        }
    }

    public static class Sum extends Reducer<Text, IntWritable, Text, IntWritable> {
        @Override
        protected void reduce(Text key, Iterable<IntWritable> values, Context context)
                throws IOException, InterruptedException {
            int sum = 0;
            for (IntWritable value : values) {
                sum += value.get();
            }
            context.write(key, new IntWritable(sum));
        }
    }

    public static void main(String[] args) throws Exception {
        Configuration conf = new Configuration();
        conf.set("fs.defaultFS", args[0]);
        conf.set("dfs.replication", "1");
        conf.set("mapreduce.framework.name", "local");
        conf.set("hadoop.tmp.dir", System.getProperty("user.dir") + "/tmp");
        FileSystem fs = FileSystem.get(conf);
        fs.mkdirs(new Path("/mapreduce/in"));
        for (int file = 0; file < FILES; file++) {
            try (FSDataOutputStream out = fs.create(new Path("/mapreduce/in/part" + file))) {
                for (int line = 0; line < LINES; line++) {
                    out.writeBytes("all word" + line % 10 + "\n");
                }
            }
        }
        Job job = Job.getInstance(conf, "words");
        job.setJarByClass(WordCount.class);
        job.setMapperClass(Words.class);
        job.setCombinerClass(Sum.class);
        job.setReducerClass(Sum.class);
        job.setNumReduceTasks(2);
        job.setOutputKeyClass(Text.class);
        job.setOutputValueClass(IntWritable.class);
        FileInputFormat.addInputPath(job, new Path("/mapreduce/in"));
        FileOutputFormat.setOutputPath(job, new Path("/mapreduce/out"));
        if (!job.waitForCompletion(false)) {
            throw new IOException("the job failed");
        }
        TreeMap<String, Integer> found = new TreeMap<>();
        StringBuilder names = new StringBuilder();
        for (FileStatus status : fs.listStatus(new Path("/mapreduce/out"))) {
            names.append(status.getPath().getName()).append(' ');
            try (BufferedReader reader = new BufferedReader(new InputStreamReader(fs.open(status.getPath())))) {
                for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                    String[] pair = line.split("\t");
                    found.put(pair[0], Integer.parseInt(pair[1]));
                }
            }
        }
        boolean right = found.size() == 11
                && found.get("all") == FILES * LINES
                && found.get("word3") == FILES * LINES / 10
                && names.toString().equals("_SUCCESS part-r-00000 part-r-00001 ");
        if (!right) {
            throw new IOException(names + " " + found);
        }
        System.out.println("counted " + found.get("all") + " lines; output: " + names);
        System.exit(0);
    }
}
