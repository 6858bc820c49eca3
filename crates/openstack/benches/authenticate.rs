//! What a request with a token that is known costs: `cargo bench -p nephometer-openstack`.

use divan::Bencher;
use http::{HeaderMap, HeaderValue};
use nephometer_drivers::{Authenticator, BasicAuthenticator};
use nephometer_testkit::tokens::{trusting_authenticator, usual_token};

fn main() {
    divan::main();
}

fn measured(bencher: Bencher<'_, '_>, authenticator: &dyn Authenticator, headers: &HeaderMap) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let first = runtime.block_on(authenticator.authenticate(headers));
    assert!(first.is_ok(), "{first:?}");
    bencher.bench_local(|| futures::executor::block_on(authenticator.authenticate(headers)));
}

#[divan::bench]
fn basic(bencher: Bencher<'_, '_>) {
    let headers =
        HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("basic YWRtaW46"))]);
    measured(bencher, &BasicAuthenticator, &headers);
}

/// With a Fernet token of usual length, and once more with that of a service.
#[divan::bench(args = [1, 2])]
fn known_tokens(bencher: Bencher<'_, '_>, tokens: usize) {
    let token = |letter| HeaderValue::from_str(&usual_token(letter)).expect("a header's value");
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", token('u'));
    if tokens == 2 {
        headers.insert("x-service-token", token('s'));
    }
    measured(bencher, &trusting_authenticator(), &headers);
}
