package chat

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLiteralString(t *testing.T) {
	for _, tc := range []struct{ literal, want string }{
		{`""`, ""},
		{`"plain"`, "plain"},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{`"é😀"`, "é😀"},
		{`"\u00e9\ud83d\ude00"`, "é😀"},
		{`"a\u0000b"`, "a\x00b"},
		{`"\ud83d"`, "\ufffd"},
		{`"\ud83dx"`, "\ufffdx"},
		{`"\ud83d\u0041"`, "\ufffdA"},
		{`"\ude00\ud83d"`, "\ufffd\ufffd"},
		{`"\ud83d\ud83d\ude00"`, "\ufffd😀"},
		{`"\u12"`, "\ufffd12"},
		{`"\x"`, "\ufffd"},
	} {
		if got := Literal(tc.literal).String(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.literal, got, tc.want)
		}
		if !Literal(tc.literal).Is(tc.want) {
			t.Errorf("%s is not %q", tc.literal, tc.want)
		}
	}
	if Literal(nil).String() != "" || Literal(nil).Is("") {
		t.Error("an absent literal has a value")
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x1f", "é😀", "\xff\xc3", "\u2028</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := Quote(s)
		if !json.Valid(quoted) || !utf8.Valid(quoted) {
			t.Fatalf("Quote(%q) = %s is not JSON", s, quoted)
		}
		var decoded string
		if err := json.Unmarshal(quoted, &decoded); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && decoded != want {
			t.Errorf("Quote(%q) reads as %q", s, decoded)
		}
		if got := quoted.String(); got != decoded {
			t.Errorf("%s reads as %q, encoding/json says %q", quoted, got, decoded)
		}
		standard, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := Literal(standard).String(); got != decoded {
			t.Errorf("%s reads as %q, want %q", standard, got, decoded)
		}
	})
}

func TestLiteralBlank(t *testing.T) {
	for literal, want := range map[string]bool{
		``: true, `""`: true, `"  "`: true, `" \n\t\r "`: true, `"\u0020"`: false, `"x"`: false, `"\\"`: false, `" x "`: false,
	} {
		if got := Literal(literal).Blank(); got != want {
			t.Errorf("%s: %t, want %t", literal, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, tc := range []struct {
		number string
		i      int64
		isInt  bool
		f      float64
		ok     bool
	}{
		{"7", 7, true, 7, true},
		{"-1", -1, true, -1, true},
		{"0.5", 0, false, 0.5, true},
		{"9007199254740993", 9007199254740993, true, 9007199254740992, true},
		{"99999999999999999999", 0, false, 1e20, true},
		{"", 0, false, 0, false},
		{"100.0", 100, true, 100, true},
		{"-1e3", -1000, true, -1000, true},
		{"1.5E1", 15, true, 15, true},
		{"1e300", 0, false, 1e300, true},
		{"9007199254740994.0", 0, false, 9007199254740994, true},
		{"1e400", 0, false, math.Inf(1), false},
	} {
		if i, ok := Number(tc.number).Int(); ok != tc.isInt || ok && i != tc.i {
			t.Errorf("%s as an integer: %d %t", tc.number, i, ok)
		}
		if f, ok := Number(tc.number).Float(); ok != tc.ok || f != tc.f {
			t.Errorf("%s as a float: %v %t", tc.number, f, ok)
		}
	}
	for number, want := range map[string]string{"7": "7", "100.0": "100", "2e3": "2000", "0.5": "", "": ""} {
		if whole, ok := Number(number).Whole(); string(whole) != want || ok != (want != "") {
			t.Errorf("%s as a whole number: %s %t", number, whole, ok)
		}
	}
	if got := string(NumberOf(-42)); got != "-42" {
		t.Errorf("NumberOf(-42) = %s", got)
	}
}
