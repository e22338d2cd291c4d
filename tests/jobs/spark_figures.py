"""Word count and a sort of lines of 100 bytes under Spark local[2]. Prints the seconds of the session's start and of each."""

import sys
import time

texts, records, out = sys.argv[1:]
began = time.monotonic()
from pyspark.sql import SparkSession, functions  # noqa: E402

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.memory", "2g")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
spark.range(1).count()
session = time.monotonic() - began

began = time.monotonic()
words = spark.read.text(texts).select(functions.explode(functions.split("value", r"[ \t\r\f]+")).alias("word"))
counts = words.where("word != ''").groupBy("word").count()
counts.select(functions.concat_ws("\t", "word", "count")).write.text(f"{out}/words")
counting = time.monotonic() - began

began = time.monotonic()
spark.read.text(records).orderBy("value").write.text(f"{out}/sorted")
sorting = time.monotonic() - began
spark.stop()
print(f"{session:.3f} {counting:.3f} {sorting:.3f}")
