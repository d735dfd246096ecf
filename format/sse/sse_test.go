package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// seen is an event as the tests compare it.
type seen struct {
	Name, Data     string
	NoName, NoData bool
	Partial        bool
}

func data(s string) seen        { return seen{Data: s, NoName: true} }
func named(name, s string) seen { return seen{Name: name, Data: s} }
func partial(e seen) seen       { e.Partial = true; return e }

var nothing = seen{NoName: true, NoData: true}

// collect reads a stream to its end. Blocks of nothing but line ends are left
// out, for the cuts decide whether the LF of a CRLF is one.
func collect(r io.Reader, limit int) (events []seen, raw []byte, err error) {
	s := NewScanner(r, limit)
	defer s.Release()
	for {
		e, err := s.Next()
		if err != nil {
			return events, raw, err
		}
		raw = append(raw, e.Raw...)
		if len(bytes.Trim(e.Raw, "\r\n")) > 0 {
			events = append(events, seen{string(e.Name), string(e.Data), e.Name == nil, e.Data == nil, e.Partial})
		}
	}
}

// chunks is a reader that returns one chunk after the other, then err or io.EOF.
type chunks struct {
	list  [][]byte
	err   error
	reads int
}

func (c *chunks) Read(p []byte) (int, error) {
	c.reads++
	if len(c.list) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		return 0, io.EOF
	}
	n := copy(p, c.list[0])
	if c.list[0] = c.list[0][n:]; len(c.list[0]) == 0 {
		c.list = c.list[1:]
	}
	return n, nil
}

// streams are written with LF; the tests put CRLF and CR in its place.
var streams = []struct {
	name, stream string
	want         []seen
}{
	{"empty", "", nil},
	{"one event", "data: a\n\n", []seen{data("a")}},
	{"no space", "data:a\n\n", []seen{data("a")}},
	{"two spaces", "data:  a\n\n", []seen{data(" a")}},
	{"named", "event: x\ndata: a\n\n", []seen{named("x", "a")}},
	{"name last", "data: a\nevent:x\n\n", []seen{named("x", "a")}},
	{"last name counts", "event: x\nevent: y\ndata: a\n\n", []seen{named("y", "a")}},
	{"empty name", "event:\ndata: a\n\n", []seen{named("", "a")}},
	{"name is not kept", "event: x\ndata: a\n\ndata: b\n\n", []seen{named("x", "a"), data("b")}},
	{"several data lines", "data: a\ndata: b\ndata:c\n\n", []seen{data("a\nb\nc")}},
	{"data lines apart", "data: a\nevent: x\n: note\ndata: b\n\n", []seen{named("x", "a\nb")}},
	{"empty data lines", "data:\ndata\ndata: \n\n", []seen{data("\n\n")}},
	{"empty data", "data:\n\n", []seen{data("")}},
	{"data without colon", "data\n\n", []seen{data("")}},
	{"event without data", "event: x\n\n", []seen{{Name: "x", NoData: true}}},
	{"comment", ": ping\n\n", []seen{nothing}},
	{"bare comment", ":\n\n", []seen{nothing}},
	{"comment in an event", ": note\ndata: a\n\n", []seen{data("a")}},
	{"retry and id", "retry: 10\n\nid: 1\ndata: a\n\n", []seen{nothing, data("a")}},
	{"unknown fields", "datax: a\ndat: b\nDATA: c\n data: d\nfoo\n\n", []seen{nothing}},
	{"colons in the value", "data: {\"a\":1}\n\n", []seen{data(`{"a":1}`)}},
	{"colon right behind", "data::a\n\n", []seen{data(":a")}},
	{"stray blank lines", "\n\n\ndata: a\n\n\n\ndata: b\n\n\n", []seen{data("a"), data("b")}},
	{"byte order mark", "\ufeffdata: a\n\ndata: b\n\n", []seen{data("a"), data("b")}},
	{"byte order mark before several lines", "\ufeffdata: a\ndata: b\n\n", []seen{data("a\nb")}},
	{"byte order mark before a blank line", "\ufeff\ndata: a\n\n", []seen{nothing, data("a")}},
	{"byte order mark alone", "\ufeff", []seen{partial(nothing)}},
	{"two byte order marks", "\ufeff\ufeffdata: a\n\n", []seen{nothing}},
	{"late byte order mark", "data: a\n\n\ufeffdata: b\n\n", []seen{data("a"), nothing}},
	{"bytes are kept", "data: \xff\x00é\n\n", []seen{data("\xff\x00é")}},
	{"no blank line at the end", "data: a\n\ndata: b\n", []seen{data("a"), partial(data("b"))}},
	{"no line end at the end", "data: a\n\ndata: b", []seen{data("a"), partial(data("b"))}},
	{"several lines at the end", "data: a\ndata: b", []seen{partial(data("a\nb"))}},
	{"name at the end", "event: x\ndata: a", []seen{partial(named("x", "a"))}},
	{"comment at the end", ": bye", []seen{partial(nothing)}},
	{
		"a chat stream",
		"data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n" +
			"data: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\n\n: keep-alive\n\ndata: [DONE]\n\n",
		[]seen{
			data(`{"choices":[{"delta":{"content":"Hel"}}]}`), data(`{"choices":[{"delta":{"content":"lo"}}]}`),
			nothing, data("[DONE]"),
		},
	},
	{
		"a message stream",
		"event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n" +
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		[]seen{
			named("message_start", `{"type":"message_start"}`), named("ping", `{"type": "ping"}`),
			named("message_stop", `{"type":"message_stop"}`),
		},
	},
	{
		"larger than the buffer",
		"data: " + strings.Repeat("x", 3*bufferSize) + "\n\ndata: " + strings.Repeat("y", bufferSize) + "\ndata: z\n\ndata: b\n\n",
		[]seen{data(strings.Repeat("x", 3*bufferSize)), data(strings.Repeat("y", bufferSize) + "\nz"), data("b")},
	},
}

var lineEnds = []struct{ name, end string }{{"LF", "\n"}, {"CRLF", "\r\n"}, {"CR", "\r"}}

func TestScanner(t *testing.T) {
	for _, tc := range streams {
		for _, le := range lineEnds {
			t.Run(tc.name+"/"+le.name, func(t *testing.T) {
				stream := []byte(strings.ReplaceAll(tc.stream, "\n", le.end))
				check := func(how string, r io.Reader) {
					t.Helper()
					events, raw, err := collect(r, 0)
					if err != io.EOF {
						t.Fatalf("%s: %v", how, err)
					}
					if !slices.Equal(events, tc.want) {
						t.Fatalf("%s: got %.300q, want %.300q", how, fmt.Sprint(events), fmt.Sprint(tc.want))
					}
					if !bytes.Equal(raw, stream) {
						t.Fatalf("%s: the blocks are %.300q, want %.300q", how, raw, stream)
					}
				}
				check("whole", bytes.NewReader(stream))
				check("with the end", iotest.DataErrReader(bytes.NewReader(stream)))
				check("byte by byte", iotest.OneByteReader(bytes.NewReader(stream)))
				step := 1 + len(stream)/1000
				for cut := 0; cut <= len(stream); cut += step {
					check(fmt.Sprintf("cut at %d", cut), &chunks{list: [][]byte{stream[:cut], stream[cut:]}})
				}
			})
		}
	}
}

// An event that ends in a bare CR is complete, whatever may follow.
func TestScannerDoesNotWaitForLF(t *testing.T) {
	r := &chunks{list: [][]byte{[]byte("data: a\r\n\r"), []byte("\n"), []byte("data: b\r\r"), []byte("data: c\r\n\r\n")}}
	s := NewScanner(r, 0)
	for i, want := range []struct {
		raw, data string
		reads     int
	}{
		{"data: a\r\n\r", "a", 1},
		{"\n", "", 2},
		{"data: b\r\r", "b", 3},
		{"data: c\r\n\r\n", "c", 4},
	} {
		e, err := s.Next()
		if err != nil || string(e.Raw) != want.raw || string(e.Data) != want.data || r.reads != want.reads {
			t.Errorf("event %d is %q, %q, %v after %d reads; want %+v", i, e.Raw, e.Data, err, r.reads, want)
		}
	}
}

func TestScannerErrors(t *testing.T) {
	broken := errors.New("connection reset")
	for _, tc := range []struct {
		name   string
		reader io.Reader
		limit  int
		want   []seen
		err    error
	}{
		{"nothing", &chunks{err: broken}, 0, nil, broken},
		{"behind an event", &chunks{list: [][]byte{[]byte("data: a\n\n")}, err: broken}, 0, []seen{data("a")}, broken},
		{"in an event", &chunks{list: [][]byte{[]byte("data: a\n\ndata: b\n\ndata: c\n")}, err: broken}, 0, []seen{data("a"), data("b")}, broken},
		{"in a line", &chunks{list: [][]byte{[]byte("data: a")}, err: broken}, 0, nil, broken},
		{
			"together with data", iotest.DataErrReader(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken))),
			0,
			[]seen{data("a")},
			broken,
		},
		{"cut body", &chunks{list: [][]byte{[]byte("data: a\n")}, err: io.ErrUnexpectedEOF}, 0, nil, io.ErrUnexpectedEOF},
		{"a reader that does nothing", idle{}, 0, nil, io.ErrNoProgress},
		{"at the limit", strings.NewReader("data: a\n\ndata: b\n\n"), 9, []seen{data("a"), data("b")}, io.EOF},
		{"above the limit", strings.NewReader("data: a\n\ndata: bb\n\n"), 9, []seen{data("a")}, ErrEventTooLarge},
		{"above the limit without an end", strings.NewReader("data: a\n\ndata: bbbbbbbb"), 9, []seen{data("a")}, ErrEventTooLarge},
		{
			"far above the limit", io.MultiReader(strings.NewReader("data: a\n\n: "), endless("x")),
			100 << 10,
			[]seen{data("a")},
			ErrEventTooLarge,
		},
		{"endless lines", endless("data: x\n"), 100 << 10, nil, ErrEventTooLarge},
		{
			"just at a large limit", strings.NewReader("data: " + strings.Repeat("x", 100<<10-8) + "\n\n"),
			100 << 10,
			[]seen{data(strings.Repeat("x", 100<<10-8))},
			io.EOF,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			events, _, err := collect(tc.reader, tc.limit)
			if err != tc.err || !slices.Equal(events, tc.want) {
				t.Errorf("got %.200q, %v; want %.200q, %v", fmt.Sprint(events), err, fmt.Sprint(tc.want), tc.err)
			}
		})
	}
}

func TestScannerErrorStays(t *testing.T) {
	s := NewScanner(strings.NewReader("data: a"), 0)
	if e, err := s.Next(); err != nil || !e.Partial {
		t.Fatal(e, err)
	}
	for range 3 {
		if !s.Buffered() {
			t.Error("the end is not buffered")
		}
		if _, err := s.Next(); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
	}
}

// Buffered is right about whether Next reads, and leaves the event before alone.
func TestBuffered(t *testing.T) {
	for _, tc := range streams {
		for size := 1; size < 40; size += 3 {
			r := &chunks{list: slices.Collect(slices.Chunk([]byte(tc.stream), size))}
			s := NewScanner(r, 0)
			for {
				before := r.reads
				buffered := s.Buffered()
				if r.reads != before {
					t.Fatalf("%s: Buffered reads", tc.name)
				}
				e, err := s.Next()
				if buffered != (r.reads == before) {
					t.Fatalf("%s: Buffered said %v, Next read %d times", tc.name, buffered, r.reads-before)
				}
				if err != nil {
					break
				}
				name, data, raw := string(e.Name), string(e.Data), string(e.Raw)
				s.Buffered()
				if string(e.Name) != name || string(e.Data) != data || string(e.Raw) != raw {
					t.Fatalf("%s: Buffered changed the event", tc.name)
				}
			}
			s.Release()
		}
	}
}

func TestViewsKeepToTheirPlace(t *testing.T) {
	s := NewScanner(strings.NewReader("event: x\ndata: a\n\ndata: b\n\n"), 0)
	e, _ := s.Next()
	_, _, _ = append(e.Name, "xxxx"...), append(e.Data, "xxxx"...), append(e.Raw, "xxxx"...)
	if e, err := s.Next(); err != nil || string(e.Data) != "b" {
		t.Errorf("got %q, %v", e.Data, err)
	}
}

func TestRelease(t *testing.T) {
	s := NewScanner(strings.NewReader("data: a\n\ndata: b\n\n"), 0)
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	s.Release()
	s.Release()
	if _, err := s.Next(); err == nil {
		t.Error("a released Scanner still reads")
	}
}

// A buffer that was grown for a large event is not kept for the small ones.
func TestBufferShrinks(t *testing.T) {
	r := &chunks{list: [][]byte{[]byte("data: " + strings.Repeat("x", 1<<20) + "\n\n")}}
	for range 100 {
		r.list = append(r.list, []byte("data: a\n\n"))
	}
	s := NewScanner(r, 0)
	defer s.Release()
	for range 101 {
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.buf) != bufferSize {
		t.Errorf("the buffer still has %d bytes", len(s.buf))
	}
}

func TestNoAllocations(t *testing.T) {
	for _, tc := range []struct{ name, stream string }{
		{"one line", "event: delta\ndata: {\"text\":\"hello\"}\n\n"},
		{"several lines", "data: {\ndata: \"text\":\"hello\"}\n\n"},
		{"CRLF", "data: {\"text\":\"hello\"}\r\n\r\n"},
		{"large", "data: " + strings.Repeat("x", 3*bufferSize) + "\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := NewScanner(endless(tc.stream), 0)
			defer s.Release()
			next := func() {
				if e, err := s.Next(); err != nil || len(e.Data) == 0 || s.Buffered() && len(e.Raw) == 0 {
					t.Fatal(e, err)
				}
			}
			for range 100 {
				next()
			}
			if n := testing.AllocsPerRun(1000, next); n != 0 {
				t.Errorf("%v allocations an event, want none", n)
			}
		})
	}
}

// idle never returns anything.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// repeat returns the same bytes without end.
type repeat struct {
	s  string
	at int
}

func endless(s string) io.Reader { return &repeat{s: s} }

func (r *repeat) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		c := copy(p[n:], r.s[r.at:])
		n += c
		r.at = (r.at + c) % len(r.s)
	}
	return n, nil
}
