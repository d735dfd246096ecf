package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// checkChunks checks what clients demand of a stream: chunks of one id, one
// model and one time, one finish_reason, counts of tokens where they belong.
func checkChunks(t *testing.T, client []byte) {
	t.Helper()
	var head string
	finishes, counts, failed := 0, 0, false
	events := formattest.Raws(t, client)
	for i, raw := range events {
		data := strings.TrimSpace(strings.TrimPrefix(string(raw), "data: "))
		if data == "[DONE]" {
			if i != len(events)-1 || failed || finishes != 1 || counts != 1 {
				t.Errorf("[DONE] is event %d of %d, %d finishes, %d counts, failed: %v", i, len(events), finishes, counts, failed)
			}
			return
		}
		doc := formattest.Parse(t, data)
		if doc.Get("error").Exists() {
			failed = true
			if i != len(events)-1 || finishes > 0 {
				t.Errorf("the error is event %d of %d, after %d finishes", i, len(events), finishes)
			}
			continue
		}
		this := doc.Get("id").Text() + doc.Get("model").Text() + string(doc.Get("created").Raw())
		if head != "" && this != head {
			t.Errorf("chunk %d has another head: %s, not %s", i, this, head)
		}
		head = this
		for choice := range doc.Get("choices").Elements {
			if i == 0 && !choice.Get("delta").Get("role").Is("assistant") {
				t.Errorf("the first chunk has no role: %s", data)
			}
			if choice.Get("finish_reason").Kind() == tape.String {
				finishes++
			}
		}
		if doc.Get("choices").Len() == 0 {
			counts++
		} else if doc.Get("usage").Kind() != tape.Null {
			t.Errorf("chunk %d has no usage:null: %s", i, data)
		}
	}
	if !failed {
		t.Errorf("the stream has no end mark: %s", client)
	}
}
