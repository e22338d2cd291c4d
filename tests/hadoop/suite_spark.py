"""Spark (local[2]): partitioned parquet, CSV and a table at hdfs://, read back by Spark and found by S3, and the reverse."""

import os

import boto3
from pyspark.sql import SparkSession

uri = os.environ["HDFS_URI"]
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"])
s3.create_bucket(Bucket="spark")
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.driver.memory", "600m")
    .config("spark.sql.warehouse.dir", f"{uri}/spark/warehouse")
    .config("spark.hadoop.dfs.replication", "1")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")

frame = spark.range(20_000).selectExpr("id", "id % 4 as part", "cast(id as string) as text")
frame.write.mode("overwrite").partitionBy("part").parquet(f"{uri}/spark/parquet")
back = spark.read.parquet(f"{uri}/spark/parquet")
assert back.count() == 20_000
assert {row["part"]: row["count"] for row in back.groupBy("part").count().collect()} == {n: 5_000 for n in range(4)}
frame.write.mode("overwrite").csv(f"{uri}/spark/csv")
assert spark.read.csv(f"{uri}/spark/csv").count() == 20_000
frame.write.saveAsTable("numbers")
spark.sql("insert into numbers values (20000, 0, 'last')")
assert spark.sql("select count(*) from numbers").first()[0] == 20_001

keys = [found["Key"] for found in s3.list_objects_v2(Bucket="spark", Prefix="parquet/")["Contents"]]
assert "parquet/_SUCCESS" in keys and not any("_temporary" in key for key in keys), keys
assert sum(key.endswith(".parquet") for key in keys) >= 4
for key in keys:
    body = s3.get_object(Bucket="spark", Key=key)["Body"].read()
    assert not key.endswith(".parquet") or (body[:4], body[-4:]) == (b"PAR1", b"PAR1"), key
    if body:
        s3.put_object(Bucket="spark", Key=key.replace("parquet/", "copied/", 1), Body=body)
assert spark.read.parquet(f"{uri}/spark/copied").count() == 20_000
spark.stop()
print(f"  parquet, CSV and a table; {len(keys)} objects of the parquet data set read by S3, written by S3 and read again")
