// Package sdk proves that the vendors' own clients work against the gateway as
// they are: the OpenAI and Anthropic SDKs for Go, and those for JavaScript in the
// folder js. It is a module of its own, so that the product does not depend on
// them.
//
// The tests build cmd/caddy, run it as a process with the demo upstream behind a
// TLS site of Caddy's internal CA, and talk to nothing else. The binary under test
// is not part of this module, so results must not come from Go's test cache:
//
//	cd caddytest/sdk && npm ci --ignore-scripts --prefix js && go test -count=1 ./...
package sdk
