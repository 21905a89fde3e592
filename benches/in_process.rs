//! How long the parts of a sign-in take within the process, without HTTP: `cargo bench --bench in_process`.
//!
//! A batch of sign-ins includes the sync of the disk, which it shares: each is the cheaper, the larger the batch is, up
//! to the 64 that the writer takes at once.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(unreachable_pub, reason = "nothing of a benchmark can be reached from elsewhere")]

mod shop;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use shop::{ADDRESSES, Gate, Shop, parse_address};

fn parsing_an_address(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse address");
    for (name, text) in ADDRESSES {
        group.bench_function(name, |bencher| bencher.iter(|| parse_address(black_box(text)).unwrap()));
    }
}

fn passing_the_throttle(criterion: &mut Criterion) {
    let gate = Gate::open().unwrap();
    let mut number = 0;
    criterion.bench_function("throttle", |bencher| {
        bencher.iter(|| {
            number += 1;
            gate.check(number).unwrap();
        });
    });
}

fn signing_in(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sign in");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    for size in [1, 8, 64, 512] {
        let shop = Shop::open().unwrap();
        group.throughput(Throughput::Elements(size.into()));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            let rush = || shop.rush(size).unwrap();
            bencher.iter_batched(rush, |rush| shop.sign_in(rush).unwrap(), BatchSize::PerIteration);
        });
    }
}

criterion_group!(parts, parsing_an_address, passing_the_throttle, signing_in);
criterion_main!(parts);
