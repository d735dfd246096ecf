package gemini

import (
	"bytes"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// checkClient checks the client's stream as Google's SDKs read it: blocks that
// begin with "data:" and end with two LF, each of one line with a JSON document.
// The last one has the only finishReason, and the counts; or it is the only
// error.
func checkClient(t testing.TB, client []byte) {
	t.Helper()
	if bytes.IndexByte(client, '\r') >= 0 || !bytes.HasSuffix(client, []byte("\n\n")) {
		t.Errorf("line ends of the stream: %q", client)
	}
	blocks := strings.Split(strings.TrimSuffix(string(client), "\n\n"), "\n\n")
	for i, block := range blocks {
		data, ok := strings.CutPrefix(block, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("block %q", block)
		}
		doc := formattest.Parse(t, data)
		last := i == len(blocks)-1
		if doc.Get("error").Exists() {
			if n, _ := doc.Get("error").Get("code").Int(); !last || n < 400 || doc.Get("error").Get("status").Literal().Empty() {
				t.Errorf("error in block %d of %d: %s", i, len(blocks), data)
			}
			continue
		}
		a := membersOf(doc)
		if a.id.Literal().Empty() || !a.model.Is("writer") || a.parts.Len() != 1 {
			t.Errorf("chunk %s", data)
		}
		if isReason(a.reason) != last || a.usage.Exists() != last {
			t.Errorf("chunk %d of %d: %s", i, len(blocks), data)
		}
		for p := range a.parts.Elements {
			if call := p.Get("functionCall"); call.Exists() && call.Get("args").Kind() != tape.Object {
				t.Errorf("call %s", call.Raw())
			}
		}
	}
}
