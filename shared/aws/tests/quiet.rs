//! Making everything that a function makes at start is quiet. A file of its own, so that no other test's threads are counted.
#![cfg(target_os = "linux")]

use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_store::Table;
use latchkey_aws::role_session::SessionScope;
use latchkey_aws::sagemaker::SageMaker;
use latchkey_domain::clock::SystemClock;
use latchkey_transport::Transport;

#[test]
fn making_the_clients_starts_no_thread_and_keeps_no_file_open() {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    let (threads, files) = (count("/proc/self/task"), count("/proc/self/fd"));
    let environment = Environment::read(|name| match name {
        "AWS_REGION" => Some("eu-central-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("x".to_owned()),
        _ => None,
    });
    // No runtime either: nothing can be waiting in the background.
    let clients = Clients::new(&environment.unwrap(), Transport::new(None).unwrap()).unwrap();
    let made = (Table::new(clients.dynamodb(), "latchkey"), SageMaker::new(&clients, SessionScope::User, SystemClock::new()));
    assert_eq!((count("/proc/self/task"), count("/proc/self/fd")), (threads, files));
    drop(made);
}
