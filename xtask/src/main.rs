//! goroscope's tasks: `cargo xtask setup|build|demo|test|bench|lint`.
fn main() {}
