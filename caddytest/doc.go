// Package caddytest holds the integration tests: a real Caddy in the test's
// process, scripted providers on the loopback, and clients over HTTP. The
// folder testdata/adapt is the living grammar of the Caddyfile: each file is a
// Caddyfile, a line of ten dashes, and the JSON it becomes or the error it gets.
package caddytest
