package format

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// sample builds a body of written parts and views, and returns what it must read
// as.
func sample() (*Body, string) {
	big := strings.Repeat("i", bigSpan)
	b := new(Body)
	b.Str(`{"a":`)
	b.Quote("x\"y")
	b.View([]byte(`,"v":1`))
	b.Raw([]byte(`,"r":2`))
	b.Byte(',')
	b.Raw([]byte(big))
	b.View(nil)
	b.Append(func(dst []byte) []byte { return append(dst, '}') })
	return b, `{"a":"x\"y","v":1,"r":2,` + big + `}`
}

func TestBody(t *testing.T) {
	b, want := sample()
	if b.Len() != len(want) || string(b.Bytes()) != want {
		t.Errorf("body of %d bytes, want %d", b.Len(), len(want))
	}
	for _, tc := range []struct {
		name string
		wrap func(io.Reader) io.Reader
	}{
		{"whole", func(r io.Reader) io.Reader { return r }},
		{"one byte at a time", iotest.OneByteReader},
		{"halves", iotest.HalfReader},
	} {
		got, err := io.ReadAll(tc.wrap(b.NewReader()))
		if err != nil || string(got) != want {
			t.Errorf("%s: read %d bytes, want %d (%v)", tc.name, len(got), len(want), err)
		}
	}
	b.Reset()
	b.Str("again")
	if string(b.Bytes()) != "again" || b.Len() != 5 {
		t.Errorf("after Reset: %q", b.Bytes())
	}
}

func TestBodyReaderFollowsTheRules(t *testing.T) {
	b, want := sample()
	if err := iotest.TestReader(b.NewReader(), []byte(want)); err != nil {
		t.Error(err)
	}
}

// TestBodyWriteTo: a body is written span by span, also from its middle and after an
// error, and counts what is left.
func TestBodyWriteTo(t *testing.T) {
	b, want := sample()
	for _, first := range []int{0, 1, 11, 12, 40, len(want) - 1, len(want)} {
		r := b.NewReader().(*bodyReader)
		head := make([]byte, first)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		if r.Len() != len(want)-first {
			t.Errorf("after %d bytes %d are left, want %d", first, r.Len(), len(want)-first)
		}
		var rest bytes.Buffer
		broken := &short{to: &rest, room: 20}
		n, err := r.WriteTo(broken)
		if len(want)-first > 20 && (err == nil || n != 20) {
			t.Errorf("after %d bytes a writer for 20 took %d (%v)", first, n, err)
		}
		if _, err := r.WriteTo(&rest); err != nil || string(head)+rest.String() != want {
			t.Errorf("after %d bytes: %d more, %v", first, rest.Len(), err)
		}
		if _, err := r.Read(make([]byte, 1)); err != io.EOF || r.Len() != 0 {
			t.Errorf("at the end: %v, %d left", err, r.Len())
		}
		r.Close()
		if _, err := r.WriteTo(&rest); err == nil || r.Len() != 0 {
			t.Error("a closed reader still writes")
		}
	}
}

// short is a writer that has room for so many bytes.
type short struct {
	to   io.Writer
	room int
}

func (s *short) Write(p []byte) (int, error) {
	n, _ := s.to.Write(p[:min(len(p), s.room)])
	if s.room -= n; n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// TestBodyIsHeldWhileWritten: a transport closes the body of a cancelled request while
// it is being written. The memory is freed when the write has ended.
func TestBodyIsHeldWhileWritten(t *testing.T) {
	b, want := sample()
	freed := false
	b.Own(func() { freed = true })
	r := b.NewReader().(*bodyReader)
	var wrote int
	_, err := r.WriteTo(writer(func(p []byte) (int, error) {
		r.Close()
		b.Release()
		wrote += len(p)
		if freed {
			t.Error("freed while it is being written")
		}
		b.hold() // for the Release of the next span
		return len(p), nil
	}))
	if err != nil || wrote != len(want) {
		t.Errorf("wrote %d of %d bytes: %v", wrote, len(want), err)
	}
	b.Release()
	if !freed {
		t.Error("never freed")
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// TestBodyIsFreedOnce shows that the memory is freed when the owner and all
// readers have let go, whatever their order, and never before.
func TestBodyIsFreedOnce(t *testing.T) {
	b, want := sample()
	freed := make(chan struct{})
	b.Own(func() { close(freed) })
	readers := []io.ReadCloser{b.NewReader(), b.NewReader(), b.NewReader()}
	b.Release()
	var wg sync.WaitGroup
	for i, r := range readers {
		wg.Go(func() {
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, []byte(want)) {
				t.Errorf("reader %d: %d bytes, %v", i, len(got), err)
			}
			select {
			case <-freed:
				t.Error("freed while a reader is open")
			default:
			}
			if i > 0 {
				r.Close()
				r.Close()
			}
		})
	}
	wg.Wait()
	select {
	case <-freed:
		t.Fatal("freed while a reader is open")
	default:
	}
	readers[0].Close()
	<-freed
	if _, err := readers[0].Read(make([]byte, 1)); err == nil {
		t.Error("a closed reader still reads")
	}
}
