//! Each creation site carries the name that Go's own goroutine dump shows behind "created by".
fn main() {}
