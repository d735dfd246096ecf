// Package agents proves that coding agents work through the gateway as they are
// sold: it runs them headless, each in a folder of its own, against a Caddy in the
// test's process whose upstream speaks another format than the agent does. The
// upstream plays a model that reads two files at once, edits one, checks it and
// says that it is done; what it does next depends on what it is told, so a tool
// call or a result that is lost in translation ends the run.
//
// The agents come from npm; nothing but their own binaries is needed. Without them
// the tests skip, except in CI:
//
//	cd caddytest/agents && npm ci --ignore-scripts --prefix js && go test -count=1 .
package agents
