package sse

import (
	"bytes"
	"testing"
)

func TestAppendEvent(t *testing.T) {
	for _, tc := range []struct{ name, event, data, want string }{
		{"data", "", `{"a":1}`, "data: {\"a\":1}\n\n"},
		{"named", "ping", `{}`, "event: ping\ndata: {}\n\n"},
		{"empty", "", "", "data: \n\n"},
		{"leading space", "", " a", "data:  a\n\n"},
		{"LF", "", "a\nb", "data: a\ndata: b\n\n"},
		{"CRLF", "", "a\r\nb", "data: a\ndata: b\n\n"},
		{"CR", "", "a\rb", "data: a\ndata: b\n\n"},
		{"blank lines", "x", "\n\r\r\n", "event: x\ndata: \ndata: \ndata: \ndata: \n\n"},
		{"looks like an event", "", "a\n\nevent: b\n", "data: a\ndata: \ndata: event: b\ndata: \n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := AppendEvent([]byte("x"), tc.event, []byte(tc.data))
			if string(got) != "x"+tc.want {
				t.Errorf("got %q, want %q", got[1:], tc.want)
			}
			events, _, _ := collect(bytes.NewReader(got[1:]), 0)
			if len(events) != 1 || events[0].Name != tc.event || events[0].Partial {
				t.Errorf("it reads as %v", events)
			}
		})
	}
}

func TestAppendComment(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"ping", "ping", ": ping\n\n"},
		{"empty", "", ": \n\n"},
		{"two lines", "a\ndata: b", ": a\n: data: b\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(AppendComment(nil, tc.text)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 1024)
	data := []byte(`{"type":"ping"}`)
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendComment(AppendEvent(dst[:0], "ping", data), "ping")
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
