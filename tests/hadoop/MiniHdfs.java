import java.io.File;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/**
 * Apache HDFS in one JVM, for comparison: `MiniHdfs FOLDER [DATANODES [synced]]`. Prints its URI; ends when its standard input
 * does. Its journal is synced only if asked for.
 */
public class MiniHdfs {
    public static void main(String[] args) throws Exception {
        HdfsConfiguration conf = new HdfsConfiguration();
        conf.set("dfs.replication", "1");
        conf.set("dfs.namenode.acls.enabled", "true");
        conf.set("hadoop.proxyuser.root.hosts", "*");
        conf.set("dfs.namenode.fs-limits.min-block-size", "1048576");
        conf.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, new File(args[0]).getAbsolutePath());
        int datanodes = args.length > 1 ? Integer.parseInt(args[1]) : 1;
        boolean synced = args.length > 2 && args[2].equals("synced");
        MiniDFSCluster cluster =
            new MiniDFSCluster.Builder(conf).numDataNodes(datanodes).skipFsyncForTesting(!synced).build();
        cluster.waitActive();
        System.out.println("hdfs://127.0.0.1:" + cluster.getNameNodePort());
        System.out.flush();
        while (System.in.read() >= 0) {}
        cluster.shutdown(true);
        System.exit(0);
    }
}
