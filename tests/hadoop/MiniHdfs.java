import java.io.File;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** Apache HDFS in one JVM, for comparison. Prints its URI; ends when its standard input does. */
public class MiniHdfs {
    public static void main(String[] args) throws Exception {
        HdfsConfiguration conf = new HdfsConfiguration();
        conf.set("dfs.replication", "1");
        conf.set("dfs.namenode.acls.enabled", "true");
        conf.set("hadoop.proxyuser.root.hosts", "*");
        conf.set("dfs.namenode.fs-limits.min-block-size", "1048576");
        conf.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, new File(args[0]).getAbsolutePath());
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(conf).numDataNodes(1).build();
        cluster.waitActive();
        System.out.println("hdfs://127.0.0.1:" + cluster.getNameNodePort());
        System.out.flush();
        while (System.in.read() >= 0) {}
        cluster.shutdown(true);
        System.exit(0);
    }
}
