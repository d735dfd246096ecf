package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// StripUsage appends an event of a Chat stream as it was received, without the
// counts of tokens that the upstream was asked for but the client was not told to
// expect: the chunk that brings nothing else is left out, and the usage member of
// other chunks is cut out. Everything else stays byte for byte. Events without
// counts cost no more than a search for the word; those that are no JSON objects
// are appended as they are. It is meant for events that a stream watcher has
// accepted, and is safe for concurrent use.
func StripUsage(dst []byte, ev sse.Event) []byte {
	if !bytes.Contains(ev.Data, usageKey) {
		return append(dst, ev.Raw...)
	}
	if from, to, ok := emptyUsage(ev.Data); ok {
		return appendWithout(dst, ev, from, to)
	}
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(ev.Data); err != nil || t.Root().Kind() != tape.Object {
		return append(dst, ev.Raw...)
	}
	root := t.Root()
	if root.Get("choices").Len() == 0 && root.Get("usage").Kind() == tape.Object && !format.IsFailure(root.Get("error")) {
		return dst
	}
	from, to := usageMember(root)
	if from == to {
		return append(dst, ev.Raw...)
	}
	return appendWithout(dst, ev, from, to)
}

var usageKey = []byte(`"usage"`)

// emptyUsage finds the usage member that OpenAI puts at the end of every ordinary
// chunk. That it stands at the end tells that it belongs to the chunk itself, so
// that nothing needs to be parsed.
func emptyUsage(data []byte) (from, to int, ok bool) {
	const member = `,"usage":null`
	from = bytes.LastIndex(data, []byte(member))
	if from < 0 {
		return 0, 0, false
	}
	to = from + len(member)
	rest := data[to:]
	if filling, found := bytes.CutPrefix(rest, []byte(`,"obfuscation":"`)); found {
		end := bytes.IndexAny(filling, `"\`)
		if end < 0 || filling[end] != '"' {
			return 0, 0, false
		}
		rest = filling[end+1:]
	}
	return from, to, string(rest) == "}"
}

// usageMember finds the usage member of a chunk, with the comma that belongs to
// it. from and to are the same if there is none.
func usageMember(root tape.Value) (from, to int) {
	previous, cut := 0, false
	for key, value := range root.Members {
		switch {
		case cut:
			// It was the first one: the comma behind it goes too.
			return from, key.Start()
		case !key.Is("usage"):
			previous = value.End()
		case previous > 0:
			return previous, value.End()
		default:
			from, to, cut = key.Start(), value.End(), true
		}
	}
	return from, to
}

// appendWithout appends an event without data[from:to].
func appendWithout(dst []byte, ev sse.Event, from, to int) []byte {
	if at := bytes.Index(ev.Raw, ev.Data); at >= 0 {
		dst = append(dst, ev.Raw[:at+from]...)
		return append(dst, ev.Raw[at+to:]...)
	}
	// The data came in several lines.
	if ev.Name != nil {
		dst = append(append(append(dst, "event: "...), ev.Name...), '\n')
	}
	kept := append(append([]byte(nil), ev.Data[:from]...), ev.Data[to:]...)
	for line := range bytes.SplitSeq(kept, []byte{'\n'}) {
		dst = append(append(append(dst, "data: "...), line...), '\n')
	}
	return append(dst, '\n')
}
