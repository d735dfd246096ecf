package tape

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func nested(open, shut string, depth int) string {
	return strings.Repeat(open, depth) + strings.Repeat(shut, depth)
}

var validDocuments = []struct{ name, doc string }{
	{"null", `null`},
	{"true", `true`},
	{"false", `false`},
	{"white space around", " \t\r\n1 \t\r\n"},
	{"zero", `0`},
	{"negative zero", `-0`},
	{"integer", `1234567890`},
	{"fraction", `-12.5`},
	{"exponents", `[1e5,1E5,1e+5,1e-5,0e0,0.1E-10]`},
	{"empty string", `""`},
	{"string", `"hello"`},
	{"string of 7", `"1234567"`},
	{"string of 8", `"12345678"`},
	{"string of 9", `"123456789"`},
	{"all escapes", `"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"`},
	{"lone surrogates", `["\ud800","\udc00x","\ud800\u0041","\ud83d"]`},
	{"escaped zero byte", `"\u0000"`},
	{"delete is no control character", "\"\x7f\""},
	{"bytes that look special to a neighbour", `["\"#","\\]","x\\\\]]","\"#####\"####","!!##\"!!"]`},
	{"escape over the end of a word", `["123456\"8","1234567\"9","12345678\"","12345\\\\90"]`},
	{"two bytes", `"éèüß"`},
	{"three bytes", `"請解釋一下"`},
	{"four bytes", `"😀x😀"`},
	{"all lengths", `"aé請😀請請é請a請請請請"`},
	{"edges of the code space", "\"\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff\""},
	{"long plain string", `["` + strings.Repeat("0123456789abcdef", 1000) + `"]`},
	{"long string with an end to it", `["` + strings.Repeat("0123456789abcdef", 1000) + `\n` + strings.Repeat("é", 3000) + `"]`},
	{"empty array", `[]`},
	{"empty object", `{}`},
	{"empty ones with space", "[ { } , [ ] , {\n}]"},
	{"array", `[1,"two",null,true,[3],{"four":4}]`},
	{"object", `{"a":1,"b":{"c":[{"d":null},{}]},"e":"f"}`},
	{"object with space", "{ \"a\" : 1 ,\n\t\"b\" : [ 1 , 2 ] }"},
	{"empty key", `{"":{"":""}}`},
	{"repeated keys", `{"a":1,"a":2,"\u0061":3}`},
	{"deepest arrays", nested("[", "]", MaxDepth)},
	{"deepest objects", strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth)},
	{"wide and deep", "[" + nested("[", "]", MaxDepth-1) + "," + nested("[", "]", MaxDepth-1) + "]"},
}

var brokenDocuments = []struct {
	name, doc string
	offset    int
	want      error
}{
	{"empty", "", 0, ErrSyntax},
	{"white space", " \n", 2, ErrSyntax},
	{"byte order mark", "\ufeff{}", 0, ErrSyntax},
	{"two documents", `{} {}`, 3, ErrSyntax},
	{"trailing comma behind the document", `1,`, 1, ErrSyntax},
	{"trailing zero byte", "1\x00", 1, ErrSyntax},
	{"form feed is no white space", "\f1", 0, ErrSyntax},
	{"no-break space is no white space", "[\u00a01]", 1, ErrSyntax},
	{"comment", `/**/1`, 0, ErrSyntax},
	{"single quotes", `'a'`, 0, ErrSyntax},
	{"bare word", `abc`, 0, ErrSyntax},
	{"cut word", `tru`, 0, ErrSyntax},
	{"word with a tail", `nullx`, 4, ErrSyntax},
	{"wrong case", `True`, 0, ErrSyntax},
	{"not a number", `NaN`, 0, ErrSyntax},
	{"infinity", `-Infinity`, 1, ErrSyntax},
	{"minus alone", `-`, 1, ErrSyntax},
	{"plus", `+1`, 0, ErrSyntax},
	{"leading zero", `012`, 1, ErrSyntax},
	{"leading zero behind a minus", `-01`, 2, ErrSyntax},
	{"leading point", `.5`, 0, ErrSyntax},
	{"trailing point", `5.`, 2, ErrSyntax},
	{"point and exponent", `5.e1`, 2, ErrSyntax},
	{"exponent without digits", `5e`, 2, ErrSyntax},
	{"exponent with a sign only", `[5e+]`, 4, ErrSyntax},
	{"two points", `1.2.3`, 3, ErrSyntax},
	{"hexadecimal", `0x10`, 1, ErrSyntax},
	{"string not closed", `"abc`, 4, ErrSyntax},
	{"string not closed, longer", `"abcdefghijklmnop`, 17, ErrSyntax},
	{"string closed by an escaped quote", `"abc\"`, 6, ErrSyntax},
	{"string ends in a backslash", `"abc\`, 4, ErrSyntax},
	{"unknown escape", `"a\x41"`, 2, ErrSyntax},
	{"unknown escape early in a long string", `"a\a0123456789abcdef"`, 2, ErrSyntax},
	{"upper case escape", `"\N"`, 1, ErrSyntax},
	{"short unicode escape", `"\u12"`, 1, ErrSyntax},
	{"unicode escape that is not hexadecimal", `"\u12G4000000000000"`, 1, ErrSyntax},
	{"cut unicode escape", `"\u123`, 1, ErrSyntax},
	{"line feed in a string", "\"a\nb\"", 2, ErrSyntax},
	{"zero byte in a string", "\"\x00\"", 1, ErrSyntax},
	{"control character in a long string", `"` + strings.Repeat("a", 5000) + "\x1f" + strings.Repeat("a", 5000) + `"`, 5001, ErrSyntax},
	{"control character in a key", "{\"\t\":1}", 2, ErrSyntax},
	{"continuation byte alone", "\"\x80\"", 1, ErrUTF8},
	{"lead byte alone", "\"\xc3\"", 1, ErrUTF8},
	{"lead byte at the end", "\"\xe8\xab", 1, ErrUTF8},
	{"overlong slash", "\"\xc0\xaf0123456\"", 1, ErrUTF8},
	{"overlong of three", "\"\xe0\x80\xaf0123456\"", 1, ErrUTF8},
	{"overlong of four", "\"\xf0\x80\x80\xaf0123\"", 1, ErrUTF8},
	{"surrogate", "\"\xed\xa0\x800123456\"", 1, ErrUTF8},
	{"surrogate among Chinese", "\"請\xed\xa0\x80請\"", 4, ErrUTF8},
	{"above the code space", "\"\xf4\x90\x80\x800123\"", 1, ErrUTF8},
	{"byte that never occurs", "\"\xff\"", 1, ErrUTF8},
	{"bad byte in a long string", `"` + strings.Repeat("a", 5000) + "\xff" + strings.Repeat("a", 5000) + `"`, 5001, ErrUTF8},
	{"bad byte in a key", "{\"\xff\":1}", 2, ErrUTF8},
	{"array not closed", `[1`, 2, ErrSyntax},
	{"array closed by a brace", `[1}`, 2, ErrSyntax},
	{"empty array closed by a brace", `[}`, 1, ErrSyntax},
	{"object closed by a bracket", `{"a":1]`, 6, ErrSyntax},
	{"empty object closed by a bracket", `{]`, 1, ErrSyntax},
	{"closing bracket alone", `]`, 0, ErrSyntax},
	{"one bracket too many", `[]]`, 2, ErrSyntax},
	{"trailing comma in an array", `[1,]`, 3, ErrSyntax},
	{"leading comma in an array", `[,1]`, 1, ErrSyntax},
	{"two commas", `[1,,2]`, 3, ErrSyntax},
	{"missing comma", `[1 2]`, 3, ErrSyntax},
	{"colon in an array", `["a":1]`, 4, ErrSyntax},
	{"trailing comma in an object", `{"a":1,}`, 7, ErrSyntax},
	{"missing comma in an object", `{"a":1 "b":2}`, 7, ErrSyntax},
	{"missing colon", `{"a" 1}`, 5, ErrSyntax},
	{"missing value", `{"a":}`, 5, ErrSyntax},
	{"key alone", `{"a"}`, 4, ErrSyntax},
	{"key without quotes", `{a:1}`, 1, ErrSyntax},
	{"number as key", `{1:1}`, 1, ErrSyntax},
	{"object cut in a key", `{"a`, 3, ErrSyntax},
	{"object cut behind a key", `{"a"`, 4, ErrSyntax},
	{"object cut behind a colon", `{"a":`, 5, ErrSyntax},
	{"object cut behind a comma", `{"a":1,`, 7, ErrSyntax},
	{"object cut at the start", `{`, 1, ErrSyntax},
	{"arrays too deep", nested("[", "]", MaxDepth+1), MaxDepth, ErrDepth},
	{"arrays much too deep", strings.Repeat("[", 1<<20), MaxDepth, ErrDepth},
	{"objects too deep", strings.Repeat(`{"":`, MaxDepth+1), MaxDepth * 4, ErrDepth},
}

func TestParse(t *testing.T) {
	var tape Tape // one for all, so that nothing of a document may survive
	for _, tc := range validDocuments {
		t.Run(tc.name, func(t *testing.T) {
			if err := tape.Parse([]byte(tc.doc)); err != nil {
				t.Fatalf("Parse(%.80q): %v", tc.doc, err)
			}
			checkWalk(t, &tape, []byte(tc.doc))
		})
	}
	for _, tc := range brokenDocuments {
		t.Run(tc.name, func(t *testing.T) {
			err := tape.Parse([]byte(tc.doc))
			if !errors.Is(err, tc.want) {
				t.Fatalf("Parse(%.80q) = %v, want %v", tc.doc, err, tc.want)
			}
			if at := fmt.Sprintf("offset %d: ", tc.offset); !strings.HasPrefix(err.Error(), at) {
				t.Errorf("Parse(%.80q) = %v, want %s", tc.doc, err, at)
			}
			if tape.Root().Exists() {
				t.Error("a broken document has a root")
			}
		})
	}
}

// A valid document that is cut short is never valid, but for numbers.
func TestParseCut(t *testing.T) {
	var tape Tape
	for _, tc := range validDocuments {
		if len(tc.doc) > 1000 {
			continue
		}
		for i := range len(tc.doc) {
			cut := []byte(tc.doc[:i])
			if err := tape.Parse(cut); (err == nil) != json.Valid(cut) {
				t.Errorf("Parse(%q) = %v, encoding/json says %v", cut, err, json.Valid(cut))
			}
		}
	}
}

// Every string is the same wherever its bytes fall within the words and blocks
// that are looked at together.
func TestParseShifted(t *testing.T) {
	var tape Tape
	for _, tc := range []struct {
		name, inner string
		want        error
	}{
		{"quote", `\"`, nil},
		{"backslash", `\\`, nil},
		{"false mark", `\\]\"#`, nil},
		{"unicode escape", `\u00e9`, nil},
		{"two bytes", "é", nil},
		{"three bytes", "請", nil},
		{"many of three bytes", "請解釋一下", nil},
		{"four bytes", "😀", nil},
		{"unknown escape", `\x`, ErrSyntax},
		{"control character", "\x1f", ErrSyntax},
		{"surrogate", "\xed\xbf\xbf", ErrUTF8},
		{"continuation", "\xbf", ErrUTF8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, base := range []int{0, 1 << 10, 5 << 10} {
				for shift := range 80 {
					before, after := strings.Repeat("a", base+shift), strings.Repeat("b", (shift*7)%80)
					doc := []byte(`{"k":"` + before + tc.inner + after + `"}`)
					if err := tape.Parse(doc); !errors.Is(err, tc.want) {
						t.Fatalf("shift %d: Parse = %v, want %v", base+shift, err, tc.want)
					}
					if tc.want == nil {
						checkWalk(t, &tape, doc)
					}
				}
			}
		})
	}
}

// runeLen agrees with the standard library about every sequence of two and three
// bytes, and about those of four as far as it makes a difference.
func TestRuneLen(t *testing.T) {
	ends := []byte{'"', 0x7f, 0x80, 0xbf, 0xc0}
	for lead := 0x80; lead <= 0xff; lead++ {
		for second := range 256 {
			for _, third := range ends {
				for _, fourth := range ends {
					p := []byte{byte(lead), byte(second), third, fourth}
					want := 0
					if r, n := utf8.DecodeRune(p); r != utf8.RuneError || n > 1 {
						want = n
					}
					if got := runeLen(p); got != want {
						t.Fatalf("runeLen(% x) = %d, want %d", p, got, want)
					}
				}
			}
		}
	}
}

// special marks the lowest byte that is special, and none if there is none.
func TestSpecial(t *testing.T) {
	for c := range 256 {
		want := c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf
		for at := range 8 {
			for _, other := range []byte{' ', '!', '#', '[', ']', '~', 0x7f} {
				p := []byte(strings.Repeat(string(other), 8))
				p[at] = byte(c)
				m := special(word(p)) & highs
				if got := m&-m == 0x80<<(8*at); got != want || !want && m != 0 {
					t.Fatalf("special(%q) = %x", p, m)
				}
			}
		}
	}
}

func TestTapeReset(t *testing.T) {
	var tape Tape
	if err := tape.Parse([]byte("[" + strings.Repeat("1,", keepNodes) + "1]")); err != nil {
		t.Fatal(err)
	}
	tape.Reset()
	if tape.Root().Exists() || tape.src != nil || tape.nodes != nil {
		t.Error("the tape still holds its document")
	}
	if err := tape.Parse([]byte(`{"a":1}`)); err != nil || tape.Root().Len() != 1 {
		t.Errorf("after Reset: %v", err)
	}
}

func TestNoAllocations(t *testing.T) {
	var tape Tape
	doc := agentDocument()
	walk := func() {
		if err := tape.Parse(doc); err != nil {
			t.Fatal(err)
		}
		n := 0
		for key, value := range tape.Root().Members {
			if key.Is("messages") {
				for element := range value.Elements {
					if element.Get("role").Is("user") && !element.Duplicate("role") {
						n++
					}
				}
			}
		}
		limit, ok := tape.Root().Get("max_tokens").Int()
		if n == 0 || !ok || limit != 8192 {
			t.Fatalf("found %d messages, limit %d", n, limit)
		}
	}
	walk()
	if n := testing.AllocsPerRun(20, walk); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestConcurrentReads(t *testing.T) {
	var tape Tape
	doc := agentDocument()
	if err := tape.Parse(doc); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { checkWalk(t, &tape, doc) })
	}
	wg.Wait()
}

// TestParseBoundsMemory shows that a document of very many values is refused.
func TestParseBoundsMemory(t *testing.T) {
	document := "[0" + strings.Repeat(",0", maxNodes+1) + "]"
	var tape Tape
	if err := tape.Parse([]byte(document)); !errors.Is(err, ErrSize) {
		t.Errorf("error is %v, want ErrSize", err)
	}
}
