// Command caddy is the main that xcaddy would generate: Caddy with its
// standard modules and the AI gateway.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-ai-gateway/caddy-ai-gateway"
)

func main() {
	caddycmd.Main()
}
