package tape

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// chatDocument is a small chat request, about 1 KB.
func chatDocument() []byte {
	return []byte(`{"model":"gpt-4o","messages":[{"role":"system","content":"You are a helpful assistant."},` +
		`{"role":"user","content":"` + strings.Repeat("Tell me about the weather in Paris, please. ", 16) + `"}],` +
		`"temperature":0.7,"max_tokens":512,"stream":true,"user":"user-1234"}`)
}

// agentDocument is the request of a coding agent, about 100 KB: 20 tools and a
// long history with tool calls, whose arguments are JSON within a string.
func agentDocument() []byte {
	var b strings.Builder
	b.WriteString(`{"model":"claude-sonnet-4-5","stream":true,"max_tokens":8192,"tools":[`)
	for i := range 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"function","function":{"name":"tool_%d","description":"Reads a file from the working directory and returns its lines.\nUse it before \"edit\".",`+
			`"parameters":{"type":"object","properties":{"path":{"type":"string","description":"Absolute path"},"limit":{"type":"integer","minimum":1},`+
			`"mode":{"type":"string","enum":["text","binary","auto"]}},"required":["path"],"additionalProperties":false}}}`, i)
	}
	b.WriteString(`],"messages":[`)
	for i := 0; b.Len() < 100<<10; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"role":"assistant","content":null,"tool_calls":[{"id":"call_%08d","type":"function","function":{"name":"tool_%d",`+
			`"arguments":"{\"path\":\"/work/src/main_%d.go\",\"limit\":200,\"mode\":\"text\"}"}}]},`+
			`{"role":"tool","tool_call_id":"call_%08d","content":"package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfmt.Println(\"hello, %d\")\n\tif err := run(); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n"},`+
			`{"role":"user","content":"That is not what I meant. Please look at the second function again and explain why it returns early, then fix the test beside it."}`, i, i%20, i, i, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// imageDocument is a request with one image of 2 MB.
func imageDocument() []byte {
	image := make([]byte, 3<<19)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(image)
	return []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},` +
		`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + base64.StdEncoding.EncodeToString(image) + `"}}]}]}`)
}

// chineseDocument is a chat request in Chinese, about 100 KB.
func chineseDocument() []byte {
	return []byte(`{"model":"qwen-max","messages":[{"role":"user","content":"` +
		strings.Repeat(`请解释一下这个函数为什么提前返回，然后修复它旁边的测试。\n`, 1200) + `"}]}`)
}

// deltaDocument is the data of one event of a stream.
func deltaDocument() []byte {
	return []byte(`{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o",` +
		`"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}`)
}

// BenchmarkParse compares Parse with the standard library's validation of the
// same document, and with the part of the work that is UTF-8.
func BenchmarkParse(b *testing.B) {
	for _, d := range []struct {
		name string
		doc  []byte
	}{
		{"delta", deltaDocument()},
		{"chat1KB", chatDocument()},
		{"agent100KB", agentDocument()},
		{"chinese100KB", chineseDocument()},
		{"image2MB", imageDocument()},
	} {
		run := func(name string, valid func() bool) {
			b.Run(d.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(d.doc)))
				b.ReportAllocs()
				for b.Loop() {
					if !valid() {
						b.Fatal("not valid")
					}
				}
			})
		}
		var t Tape
		run("tape", func() bool { return t.Parse(d.doc) == nil })
		run("utf8", func() bool { return utf8.Valid(d.doc) })
		run("json", func() bool { return json.Valid(d.doc) })
		run("gjson", func() bool { return gjson.ValidBytes(d.doc) })
	}
}
