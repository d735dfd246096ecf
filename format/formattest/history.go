package formattest

import (
	"fmt"
	"strings"
)

// AgentHistory is the conversation of an agent that speaks Chat: some 100 KB with
// 20 tools.
func AgentHistory() string {
	var b strings.Builder
	b.WriteString(`{"model":"writer","stream":true,"max_tokens":4096,"messages":[{"role":"system","content":"` + strings.Repeat("You are careful. ", 300) + `"}`)
	for i := range 30 {
		fmt.Fprintf(&b, `,{"role":"user","content":"Step %d: look at the \"next\" file and tell me.\n"}`, i)
		fmt.Fprintf(&b, `,{"role":"assistant","content":"Reading it.","tool_calls":[{"id":"call_%d","type":"function","function":{"name":"read_file","arguments":"{\"path\":\"/src/file_%d.go\",\"limit\":%d}"}}]}`, i, i, i)
		fmt.Fprintf(&b, `,{"role":"tool","tool_call_id":"call_%d","content":"%s"}`, i, strings.Repeat(`func main() {\n\tfmt.Println(\"hello\")\n}\n`, 55))
	}
	b.WriteString(`],"tools":[`)
	for i := range 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"function","function":{"name":"tool_%d","description":"%s","parameters":{"type":"object","properties":{"path":{"type":"string","description":"The path"},"limit":{"type":"integer"}},"required":["path"]}}}`, i, strings.Repeat("Does something useful. ", 25))
	}
	b.WriteString(`]}`)
	return b.String()
}
