//! The web configuration: whom the agent answers, whom it refuses, and that it goes on watching
//! whatever they do.

mod crowd;
mod host;
mod refused;
mod reload;
mod scraped;
mod served;
mod start;
