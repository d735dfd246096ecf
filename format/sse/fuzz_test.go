package sse

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

// FuzzScanner cuts a stream into pieces of arbitrary sizes and compares the
// events with those of a reader that is written straight from the specification.
func FuzzScanner(f *testing.F) {
	for _, tc := range streams {
		if len(tc.stream) > 1000 {
			continue
		}
		f.Add([]byte(tc.stream), []byte{1})
		f.Add([]byte(strings.ReplaceAll(tc.stream, "\n", "\r\n")), []byte{9, 1})
		f.Add([]byte(strings.ReplaceAll(tc.stream, "\n", "\r")), []byte{3, 2, 5})
	}
	f.Add([]byte("data: a\r\ndata: b\n\rdata: c\r\r\n\n"), []byte{2})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		want := reference(stream)
		for _, r := range []io.Reader{bytes.NewReader(stream), &chunks{list: cut(stream, sizes)}} {
			events, raw, err := collect(r, 0)
			if err != io.EOF || !bytes.Equal(raw, stream) {
				t.Fatalf("the blocks are %q, %v", raw, err)
			}
			if !slices.Equal(events, want) {
				t.Fatalf("got %v, want %v", events, want)
			}
		}
	})
}

// cut cuts the stream into pieces of the sizes, again and again.
func cut(stream, sizes []byte) (pieces [][]byte) {
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(sizes) > 0 {
			n = min(n, 1+int(sizes[i%len(sizes)]))
		}
		pieces = append(pieces, stream[:n])
		stream = stream[n:]
	}
	return pieces
}

// reference reads a stream slowly and in the most obvious way.
func reference(stream []byte) (events []seen) {
	text := strings.ReplaceAll(strings.ReplaceAll(string(stream), "\r\n", "\n"), "\r", "\n")
	e, empty := nothing, true // empty: no byte but line ends
	text, bom := strings.CutPrefix(text, "\ufeff")
	empty = !bom
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		last := i == len(lines)-1
		if line == "" {
			if !empty {
				e.Partial = last
				events = append(events, e)
			}
			e, empty = nothing, true
			continue
		}
		empty = false
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "event":
			e.Name, e.NoName = value, false
		case name == "data" && e.NoData:
			e.Data, e.NoData = value, false
		case name == "data":
			e.Data += "\n" + value
		}
		if last {
			e.Partial = true
			events = append(events, e)
		}
	}
	return events
}
