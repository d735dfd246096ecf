package formattest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Parse indexes a document.
func Parse(tb testing.TB, doc string) tape.Value {
	tb.Helper()
	var index tape.Tape
	if err := index.Parse([]byte(doc)); err != nil {
		tb.Fatalf("parsing %s: %v", doc, err)
	}
	return index.Root()
}

// Pretty breaks a document into lines, so that differences can be read.
func Pretty(tb testing.TB, doc []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	lines(&out, Parse(tb, string(doc)), "")
	return append(out.Bytes(), '\n')
}

// lines writes a value, one that is long with a line for each of its parts.
func lines(out *bytes.Buffer, v tape.Value, indent string) {
	const short = 100
	separator, end := "[", "]"
	if v.Kind() == tape.Object {
		separator, end = "{", "}"
	}
	part := func(key, value tape.Value) bool {
		out.WriteString(separator + "\n" + indent + " ")
		if key.Exists() {
			fmt.Fprintf(out, "%s: ", key.Raw())
		}
		lines(out, value, indent+" ")
		separator = ","
		return true
	}
	switch {
	case len(v.Raw()) <= short || v.Kind() < tape.Array:
		out.Write(v.Raw())
		return
	case v.Kind() == tape.Array:
		v.Elements(func(value tape.Value) bool { return part(tape.Value{}, value) })
	default:
		v.Members(part)
	}
	out.WriteString("\n" + indent + end)
}

// Losses lists what a report tells, a line for each loss. Those that change the
// meaning end in an exclamation mark.
func Losses(r chat.Report) string {
	var out strings.Builder
	for _, l := range r {
		out.WriteString(l.Path + " " + string(l.Reason))
		if l.Meaning {
			out.WriteString("!")
		}
		out.WriteString("\n")
	}
	return out.String()
}
