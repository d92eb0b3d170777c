//! Serves one handler that does nothing, on the address that is its argument.

use restate_sdk::prelude::*;

struct Noop;

#[service]
impl Noop {
    #[handler]
    async fn run(&self, _ctx: Context<'_>) -> HandlerResult<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let Some(address) = address else {
        eprintln!("usage: restate-handler ADDRESS:PORT");
        std::process::exit(64);
    };
    let endpoint = Endpoint::builder().bind(Noop).build();
    HttpServer::new(endpoint).listen_and_serve(address).await;
}
