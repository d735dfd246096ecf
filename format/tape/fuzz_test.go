package tape

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzTape compares Parse with encoding/json, which differs in two points only:
// it accepts strings that are not UTF-8, and more depth.
func FuzzTape(f *testing.F) {
	for _, tc := range validDocuments {
		if len(tc.doc) < 1000 {
			f.Add([]byte(tc.doc))
		}
	}
	for _, tc := range brokenDocuments {
		if len(tc.doc) < 1000 {
			f.Add([]byte(tc.doc))
		}
	}
	f.Add(chatDocument())
	f.Fuzz(func(t *testing.T, doc []byte) {
		var tape Tape
		err := tape.Parse(doc)
		if errors.Is(err, ErrDepth) {
			return
		}
		want := json.Valid(doc) && utf8.Valid(doc)
		if got := err == nil; got != want {
			t.Fatalf("Parse = %v; encoding/json: %v, UTF-8: %v", err, json.Valid(doc), utf8.Valid(doc))
		}
		if err == nil {
			checkWalk(t, &tape, doc)
		}
	})
}

// checkWalk visits every value of the tape and compares it with what
// encoding/json reads from the same document.
func checkWalk(t *testing.T, tape *Tape, doc []byte) {
	t.Helper()
	root := tape.Root()
	if got, want := root.Raw(), bytes.Trim(doc, " \t\r\n"); !bytes.Equal(got, want) {
		t.Errorf("the root is %.80q, want %.80q", got, want)
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		t.Errorf("encoding/json: %v", err)
	}
	if got := decode(t, root, doc); !reflect.DeepEqual(got, want) {
		t.Errorf("the tape holds %.200v, want %.200v", got, want)
	}
}

// decode returns v as encoding/json would, and checks that its parts stand in
// order and within its place.
func decode(t *testing.T, v Value, doc []byte) any {
	if !v.Exists() || !bytes.Equal(v.Raw(), doc[v.Start():v.End()]) {
		t.Errorf("Raw is not doc[%d:%d]", v.Start(), v.End())
	}
	at, n := v.Start()+1, 0
	inside := func(part Value) {
		if part.Start() < at || part.End() <= part.Start() || part.End() >= v.End() {
			t.Errorf("[%d:%d] does not stand in [%d:%d]", part.Start(), part.End(), at, v.End())
		}
		at = part.End()
	}
	switch v.Kind() {
	case True, False:
		return v.Bool()
	case Number:
		return json.Number(v.Raw())
	case String:
		if text := v.Text(); !v.Is(text) || v.Is(text+"x") || v.Literal().String() != text {
			t.Errorf("%s is not %q", v.Raw(), text)
		}
		return v.Text()
	case Array:
		list := []any{}
		for element := range v.Elements {
			inside(element)
			list = append(list, decode(t, element, doc))
			n++
		}
		if n != v.Len() {
			t.Errorf("Len is %d, want %d", v.Len(), n)
		}
		return list
	case Object:
		object := map[string]any{}
		last := map[string]Value{}
		times := map[string]int{}
		for key, value := range v.Members {
			inside(key)
			inside(value)
			object[key.Text()] = decode(t, value, doc)
			last[key.Text()] = value
			times[key.Text()]++
			n++
		}
		if n != v.Len() {
			t.Errorf("Len is %d, want %d", v.Len(), n)
		}
		for key := range object {
			if v.Get(key) != last[key] || v.Duplicate(key) != (times[key] > 1) {
				t.Errorf("Get or Duplicate of %q", key)
			}
		}
		return object
	}
	return nil
}
