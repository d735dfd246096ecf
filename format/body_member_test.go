package format

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// inSpans is a body of the text in pieces of n bytes, in turn written and viewed.
func inSpans(text string, n int) *Body {
	b := new(Body)
	for i := 0; len(text) > 0; i++ {
		piece := text[:min(n, len(text))]
		text = text[len(piece):]
		if i%2 == 0 {
			b.Str(piece)
		} else {
			b.View([]byte(piece))
		}
	}
	return b
}

func TestWithMember(t *testing.T) {
	const value = "a \"quote\",\na line and ünïcode \\"
	const member = `"key":"a \"quote\",\na line and ünïcode \\"`
	for _, tc := range []struct{ name, body, want string }{
		{"empty", `{}`, `{` + member + `}`},
		{"space", " {\n} ", " {" + member + "\n} "},
		{"another", `{"a":1}`, `{` + member + `,"a":1}`},
		{"in the place of the first", `{"key":"x","a":1}`, `{` + member + `,"a":1}`},
		{"in the place of the last", `{"a":1, "key" : "x" }`, `{` + member + `,"a":1}`},
		{"in the place of the only", `{"key":null}`, `{` + member + `}`},
		{"in the place of all", `{"key":1,"a":2,"key":{"key":[3,"}"]},"b":4,"key":""}`, `{` + member + `,"a":2,"b":4}`},
		{"in the place of an escaped one", `{"a":1,"\u006bey":2,"k\u0065\u0079":3}`, `{` + member + `,"a":1}`},
		{"only at the top", `{"a":{"key":1},"b":[{"key":2}]}`, `{` + member + `,"a":{"key":1},"b":[{"key":2}]}`},
		{"keys that begin alike", `{"keys":1,"ke":2,"key ":3,"Key":4,"\\key":5}`, `{` + member + `,"keys":1,"ke":2,"key ":3,"Key":4,"\\key":5}`},
		{"values like the key", `{"a":"key","b":["key",{"c":"key"}]}`, `{` + member + `,"a":"key","b":["key",{"c":"key"}]}`},
		{"brackets in strings", `{"a":"{[\"key\":1,]}\\","key":1}`, `{` + member + `,"a":"{[\"key\":1,]}\\"}`},
		{"escapes before a quote", `{"a":"\\\\\"\\","key":"\\\"","b":"\""}`, `{` + member + `,"a":"\\\\\"\\","b":"\""}`},
		{"a long key", `{"` + strings.Repeat("key", 100) + `":1}`, `{` + member + `,"` + strings.Repeat("key", 100) + `":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for n := 1; n <= len(tc.body); n++ {
				b := inSpans(tc.body, n)
				with, err := b.WithMember("key", value)
				if err != nil {
					t.Fatalf("in pieces of %d: %v", n, err)
				}
				if got := string(with.Bytes()); got != tc.want || with.Len() != len(tc.want) {
					t.Fatalf("in pieces of %d: got %s of %d bytes\nwant %s", n, got, with.Len(), tc.want)
				}
				if got, err := io.ReadAll(with.NewReader()); err != nil || string(got) != tc.want {
					t.Fatalf("in pieces of %d: read %s, %v", n, got, err)
				}
				if string(b.Bytes()) != tc.body {
					t.Fatalf("in pieces of %d: the body has become %s", n, b.Bytes())
				}
			}
		})
	}
}

func TestWithMemberRefused(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "space": " ", "an array": `[{"a":1}]`, "a string": `"{}"`, "a number": "1",
		"a form": "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}\r\n--x--\r\n",
		"half":   `{"a":{"b":"}"}`, "half a string": `{"a":"}`,
	} {
		if with, err := inSpans(body, 3).WithMember("key", "v"); !errors.Is(err, ErrNoObject) || with != nil {
			t.Errorf("%s: got %v, %v", name, with, err)
		}
	}
}

// TestWithMemberLooksInto shows that large parts are not copied, and that the body
// below is in use as long as a reader is open.
func TestWithMemberLooksInto(t *testing.T) {
	big := []byte(strings.Repeat("i", bigSpan))
	b, freed := new(Body), false
	b.Str(`{"image":"`)
	b.Raw(big)
	b.Str(`","key":1}`)
	b.Own(func() { freed = true })
	with, err := b.WithMember("key", "v")
	if err != nil {
		t.Fatal(err)
	}
	if views := len(with.refs); views != 5 || &with.refs[2].span[0] != &big[0] {
		t.Errorf("the large part is not among the %d views", views)
	}
	first, second := with.NewReader(), with.NewReader()
	b.Release()
	if got, err := io.ReadAll(second); err != nil || string(got) != `{"key":"v","image":"`+string(big)+`"}` {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	for _, r := range []io.ReadCloser{first, first, second} {
		if freed {
			t.Error("freed while a reader is open")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if !freed {
		t.Error("not freed with the last reader")
	}
}

// FuzzWithMember holds what comes out of any document against encoding/json.
func FuzzWithMember(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"key":[{"key":"\\\""}],"b":{}}`, `{"key":"","key":{}}`, ` {"\u006bey" : "\ud83d\ude00" , "" : null } `} {
		f.Add(seed, "key", "v\"\n", uint8(3))
	}
	f.Fuzz(func(t *testing.T, text, name, value string, n uint8) {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return // cannot be written
		}
		var doc tape.Tape
		if doc.Parse([]byte(text)) != nil || doc.Root().Kind() != tape.Object || !json.Valid([]byte(text)) {
			_, _ = inSpans(text, int(n)+1).WithMember(name, value) // must not panic
			return
		}
		with, err := inSpans(text, int(n)+1).WithMember(name, value)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := doc.Parse(with.Bytes()); err != nil {
			t.Fatalf("%q became %q: %v", text, with.Bytes(), err)
		}
		if doc.Root().Duplicate(name) || !doc.Root().Get(name).Is(value) {
			t.Fatalf("%q became %q", text, with.Bytes())
		}
		var want, got map[string]any
		if json.Unmarshal([]byte(text), &want) != nil || json.Unmarshal(with.Bytes(), &got) != nil {
			return // a number that is too large
		}
		want[name] = value
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q", text, with.Bytes())
		}
	})
}

func BenchmarkWithMember(b *testing.B) {
	b.ReportAllocs()
	body := new(Body)
	body.View([]byte(`{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat(`a line of text, \"quoted\"\n`, 4000) + `"}]}`))
	b.SetBytes(int64(body.Len()))
	for b.Loop() {
		if _, err := body.WithMember("key", "value"); err != nil {
			b.Fatal(err)
		}
	}
}
