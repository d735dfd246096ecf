// Package sdk proves that the vendors' own clients work against the gateway as
// they are: the SDKs of OpenAI, Anthropic and Google for Go, and those for
// JavaScript in the folder js, each against an upstream of every format. Their
// readers of streams also fold the golden streams of the codecs. It is a module of
// its own, so that the product does not depend on them.
//
// The tests build cmd/caddy and run it as a process behind a TLS site of Caddy's
// internal CA. Its upstreams are the demo and the answers in testdata, which the
// test's own process serves; there are no others. The binary under test
// is not part of this module, so results must not come from Go's test cache:
//
//	cd caddytest/sdk && npm ci --ignore-scripts --prefix js && go test -count=1 ./...
package sdk
