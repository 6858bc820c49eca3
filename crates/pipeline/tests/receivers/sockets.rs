//! Messages in MessagePack, read by Python's own reader, whose signatures are verified with the shared secret.

use std::time::Duration;

use nephometer_model::Secret;
use nephometer_pipeline::message::from_message;
use nephometer_pipeline::signature::Signer;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket};

use crate::{Factory, samples};

fn signer() -> Signer {
    Signer::new(&Secret::new("change this for valid signing"))
}

/// A message as our own reader has it, which Python's agrees with in the stage `samples`.
fn unpacked(bytes: &[u8]) -> Value {
    rmp_serde::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn each_sample_is_a_datagram() {
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = receiver.local_addr().unwrap().port();
    let factory = Factory::new();
    let publisher = factory.publisher(&format!("udp://127.0.0.1:{port}"));
    let sent = samples(5);
    publisher.publish(&sent).await.unwrap();
    for sample in sent {
        let mut bytes = vec![0; 65536];
        let len =
            tokio::time::timeout(Duration::from_secs(5), receiver.recv(&mut bytes)).await.unwrap().unwrap();
        let message = unpacked(&bytes[..len]);
        assert!(signer().verify(message.as_object().unwrap()));
        assert_eq!(from_message(&message, &signer()).unwrap(), sample);
        assert!(message.get("publisher_id").is_none());
    }
}

#[tokio::test]
async fn a_sample_longer_than_a_datagram_is_set_aside() {
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let factory = Factory::new();
    let publisher = factory.publisher(&format!("udp://127.0.0.1:{}", receiver.local_addr().unwrap().port()));
    let mut sent = samples(3);
    sent[1].unit = "x".repeat(70_000).into();
    publisher.publish(&sent).await.unwrap();
    let counts = factory.publishers.counts()[0].1;
    assert_eq!((counts.delivered, counts.refused), (2, 1));
}

#[tokio::test]
async fn a_stream_survives_its_receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let factory = Factory::new();
    let publisher = factory.publisher(&format!("tcp://{address}"));
    let sent = samples(6);
    let mut got = Vec::new();
    for part in sent.chunks(3) {
        // The receiver closes after each part.
        let (published, accepted) = tokio::join!(publisher.publish(part), listener.accept());
        published.unwrap();
        let (mut stream, _) = accepted.unwrap();
        for _ in part {
            let len = stream.read_u64_le().await.unwrap();
            let mut bytes = vec![0; usize::try_from(len).unwrap()];
            stream.read_exact(&mut bytes).await.unwrap();
            let message = unpacked(&bytes);
            assert_eq!(message["publisher_id"], "here");
            assert!(signer().verify(message.as_object().unwrap()));
            got.push(from_message(&message, &signer()).unwrap());
        }
        drop(stream);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(got, sent);
}

#[tokio::test]
async fn samples_wait_for_a_receiver_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let factory = Factory::new();
    let publisher = factory.publisher(&format!("tcp://{address}"));
    publisher.publish(&samples(3)).await.unwrap();
    assert_eq!(factory.publishers.counts()[0].1.spool.samples, 3);
    let listener = TcpListener::bind(address).await.unwrap();
    let (mut stream, _) =
        tokio::time::timeout(Duration::from_secs(10), listener.accept()).await.unwrap().unwrap();
    assert!(stream.read_u64_le().await.unwrap() > 100);
}
