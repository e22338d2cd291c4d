//! Runs the checks that `object_store` publishes for implementors against an S3 endpoint.
//!
//! Address, keys and bucket come from the `AWS_*` environment, as `AmazonS3Builder::from_env` reads it. The checks delete
//! whatever the bucket holds. Prints one line a check, `ok NAME` or `failed NAME`; a check that panics does not stop those
//! after it. Exit code 1 when one failed.

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::integration::{
    copy_if_not_exists, copy_rename_nonexistent_object, get_nonexistent_object, get_opts, list_paginated,
    list_uses_directories_correctly, list_with_delimiter, list_with_offset_exclusivity, multipart, multipart_out_of_order,
    multipart_put_part_out_of_order, multipart_race_condition, multipart_with_opts, put_get_attributes,
    put_get_delete_list, put_opts, rename_and_copy, stream_get,
};
use std::future::Future;
use std::process::ExitCode;

fn store() -> AmazonS3Builder {
    AmazonS3Builder::from_env()
}

fn built(builder: AmazonS3Builder) -> AmazonS3 {
    builder.build().expect("the environment names a store")
}

/// Runs checks one after another and counts those that panic.
struct Checks {
    failed: usize,
}

impl Checks {
    async fn run<F: Future<Output = ()> + Send + 'static>(&mut self, name: &str, check: F) {
        match tokio::spawn(check).await {
            Ok(()) => println!("ok {name}"),
            Err(_panic) => {
                self.failed += 1;
                println!("failed {name}");
            }
        }
    }
}

macro_rules! checks {
    ($checks:ident, $($name:ident($($more:tt)*)),* $(,)?) => {
        $($checks.run(stringify!($name), async { let s = built(store()); checks!(@call $name, s, $($more)*); }).await;)*
    };
    (@call $name:ident, $s:ident, also) => { $name(&$s, &$s).await };
    (@call $name:ident, $s:ident, $($argument:expr)?) => { $name(&$s $(, $argument)?).await };
}

#[tokio::main]
async fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().expect("nothing was installed before");
    let mut checks = Checks { failed: 0 };
    checks!(
        checks,
        put_get_delete_list(),
        list_with_offset_exclusivity(),
        get_opts(),
        list_uses_directories_correctly(),
        list_with_delimiter(),
        rename_and_copy(),
        copy_if_not_exists(),
        copy_rename_nonexistent_object(),
        stream_get(),
        multipart(also),
        multipart_with_opts(also),
        multipart_put_part_out_of_order(also),
        multipart_race_condition(true),
        multipart_out_of_order(),
        put_get_attributes(),
        list_paginated(also),
        put_opts(true),
    );
    checks
        .run("get_nonexistent_object", async {
            let error = get_nonexistent_object(&built(store()), None).await.expect_err("there is none");
            assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
        })
        .await;
    checks
        .run("unsigned payload", async { put_get_delete_list(&built(store().with_unsigned_payload(true))).await })
        .await;
    for (name, algorithm) in [("sha256", Checksum::SHA256), ("crc64nvme", Checksum::CRC64NVME)] {
        checks
            .run(name, async move { put_get_delete_list(&built(store().with_checksum_algorithm(algorithm))).await })
            .await;
    }
    match checks.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
