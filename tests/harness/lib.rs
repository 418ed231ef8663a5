//! What the tests share: fixtures, the agent under test, its output.
