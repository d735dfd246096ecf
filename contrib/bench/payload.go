package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
)

const (
	clientModel   = "bench"
	upstreamModel = "bench-large-2026-01-01"
	streamChunks  = 200
)

// A payload is one request body in the OpenAI chat format. It is the same in
// every process, because it is made from constants and a fixed seed.
type payload struct {
	body   []byte
	stream bool
	rest   uint32 // checksum of the body without the model's name
	last   string // text that stands in the last message in any format
}

type object = map[string]any

// request fixes the order of the members: model first, as SDKs send it.
type request struct {
	Model         string   `json:"model"`
	Messages      []object `json:"messages"`
	Tools         []object `json:"tools,omitempty"`
	MaxTokens     int      `json:"max_completion_tokens"`
	Stream        bool     `json:"stream,omitempty"`
	StreamOptions object   `json:"stream_options,omitempty"`
}

func payloads() []*payload {
	return []*payload{smallPayload(), agentPayload(), imagePayload(), streamPayload()}
}

func smallPayload() *payload {
	return newPayload("small question", request{
		Messages: []object{
			{"role": "system", "content": words(1, 75)},
			{"role": "user", "content": words(2, 75) + " small question"},
		},
		MaxTokens: 512,
	})
}

func streamPayload() *payload {
	return newPayload("stream question", request{
		Messages: []object{
			{"role": "system", "content": words(3, 70)},
			{"role": "user", "content": words(4, 70) + " stream question"},
		},
		MaxTokens: 512,
		Stream:    true,
		// Asked for, so that neither side has a chunk of usage to hide.
		StreamOptions: object{"include_usage": true},
	})
}

// agentPayload is the history of a coding agent: tool calls whose arguments
// are JSON in a string, and results that are source text full of quotes.
func agentPayload() *payload {
	r := request{
		Messages:  []object{{"role": "system", "content": words(5, 800)}},
		MaxTokens: 4096,
	}
	for i := range 20 {
		r.Tools = append(r.Tools, object{"type": "function", "function": object{
			"name":        fmt.Sprintf("tool_%02d", i),
			"description": words(uint64(100+i), 60),
			"parameters": object{
				"type": "object",
				"properties": object{
					"path":    object{"type": "string", "description": words(uint64(200+i), 20)},
					"pattern": object{"type": "string"},
					"limit":   object{"type": "integer", "minimum": 1},
				},
				"required": []string{"path"},
			},
		}})
	}
	for i := 0; size(r) < 99<<10; i++ {
		id := fmt.Sprintf("call_%04d", i)
		arguments, _ := json.Marshal(object{"path": fmt.Sprintf("src/%d/\"quoted\".go", i), "pattern": `"id":\s*"`, "limit": i + 1})
		r.Messages = append(
			r.Messages,
			object{"role": "user", "content": words(uint64(300+i), 30)},
			object{"role": "assistant", "content": nil, "tool_calls": []object{{
				"id": id, "type": "function",
				"function": object{"name": fmt.Sprintf("tool_%02d", i%20), "arguments": string(arguments)},
			}}},
			object{"role": "tool", "tool_call_id": id, "content": sourceText(i)},
			object{"role": "assistant", "content": words(uint64(400+i), 20)},
		)
	}
	r.Messages = append(r.Messages, object{"role": "user", "content": "agent question"})
	return newPayload("agent question", r)
}

func imagePayload() *payload {
	pixels := make([]byte, 2<<20*3/4)
	random := rand.New(rand.NewPCG(7, 7))
	for i := range pixels {
		pixels[i] = byte(random.Uint32())
	}
	url := "data:image/png;base64," + base64.StdEncoding.EncodeToString(pixels)
	return newPayload("image question", request{
		Messages: []object{{"role": "user", "content": []object{
			{"type": "image_url", "image_url": object{"url": url}},
			{"type": "text", "text": "image question"},
		}}},
		MaxTokens: 512,
	})
}

func newPayload(last string, r request) *payload {
	r.Model = clientModel
	p := &payload{body: encode(r), stream: r.Stream, last: last}
	_, p.rest, _ = splitModel(p.body)
	return p
}

// splitModel returns the first model name in a body, and a checksum of
// everything around it.
func splitModel(body []byte) (model string, rest uint32, ok bool) {
	const key = `"model":"`
	start := bytes.Index(body, []byte(key))
	if start < 0 {
		return "", 0, false
	}
	start += len(key)
	end := bytes.IndexByte(body[start:], '"')
	if end < 0 {
		return "", 0, false
	}
	end += start
	rest = crc32.Update(crc32.ChecksumIEEE(body[:start]), crc32.IEEETable, body[end:])
	return string(body[start:end]), rest, true
}

// words returns n pseudo-random words, always the same for a seed.
func words(seed uint64, n int) string {
	random := rand.New(rand.NewPCG(seed, 1))
	vocabulary := strings.Fields("a the request answer model of to and routes between sources when first token arrives it streams slowly or fails")
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(vocabulary[random.IntN(len(vocabulary))])
	}
	return b.String()
}

func sourceText(seed int) string {
	var b strings.Builder
	for line := range 24 {
		fmt.Fprintf(&b, "\tif name == \"%d-%d\" { return fmt.Errorf(\"reading \\\"%s\\\": %%w\", err) }\n", seed, line, words(uint64(line), 3))
	}
	return b.String()
}

func size(v any) int { return len(encode(v)) }

// encode cannot fail on what this program builds.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
