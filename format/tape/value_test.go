package tape

import (
	"math"
	"testing"
)

func parse(t *testing.T, doc string) Value {
	t.Helper()
	var tape Tape
	if err := tape.Parse([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	return tape.Root()
}

func TestAbsent(t *testing.T) {
	for name, v := range map[string]Value{
		"zero value":            {},
		"root of an empty tape": new(Tape).Root(),
		"missing member":        parse(t, `{"a":1}`).Get("b"),
		"member of an array":    parse(t, `["a",1]`).Get("a"),
		"member of a string":    parse(t, `"a"`).Get("a"),
		"member of nothing":     Value{}.Get("a").Get("b"),
	} {
		t.Run(name, func(t *testing.T) {
			n, ok := v.Int()
			if v.Exists() || v.Kind() != Absent || v.Raw() != nil || v.Start() != 0 || v.End() != 0 || v.Len() != 0 ||
				v.Duplicate("a") || v.Is("") || v.Text() != "" || v.Literal() != nil || v.Bool() || n != 0 || ok {
				t.Errorf("%#v is not absent", v)
			}
			for range v.Members {
				t.Error("it has members")
			}
			for range v.Elements {
				t.Error("it has elements")
			}
		})
	}
}

func TestKind(t *testing.T) {
	for doc, want := range map[string]Kind{
		`null`: Null, `false`: False, `true`: True, `-1.5`: Number, `""`: String, `[]`: Array, `{}`: Object,
	} {
		if v := parse(t, doc); v.Kind() != want || !v.Exists() {
			t.Errorf("%s is of kind %d, want %d", doc, v.Kind(), want)
		}
	}
}

func TestGet(t *testing.T) {
	v := parse(t, `{"model":"a","n":1,"mod\u0065l":"b","o":{"model":"inner"},"":"empty","caf\u00e9":"c","model":"d","mode":0,"models":0}`)
	for _, tc := range []struct {
		name, key, want string
		duplicate       bool
	}{
		{"last of three, one of them escaped", "model", `"d"`, true},
		{"once", "n", `1`, false},
		{"empty key", "", `"empty"`, false},
		{"escaped key", "café", `"c"`, false},
		{"the escaped form is another key", `caf\u00e9`, ``, false},
		{"object", "o", `{"model":"inner"}`, false},
		{"missing", "x", ``, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(v.Get(tc.key).Raw()); got != tc.want {
				t.Errorf("Get(%q) = %s, want %s", tc.key, got, tc.want)
			}
			if got := v.Duplicate(tc.key); got != tc.duplicate {
				t.Errorf("Duplicate(%q) = %v", tc.key, got)
			}
		})
	}
	if got := v.Get("o").Get("model").Text(); got != "inner" {
		t.Errorf("the inner model is %q", got)
	}
}

func TestText(t *testing.T) {
	v := parse(t, `["plain","\u00e9\n\"","\ud83d\ude00",7]`)
	want := []string{"plain", "é\n\"", "😀", ""}
	i := 0
	for element := range v.Elements {
		if got := element.Text(); got != want[i] {
			t.Errorf("element %d is %q, want %q", i, got, want[i])
		}
		if element.Is(want[i]) != (element.Kind() == String) {
			t.Errorf("element %d: Is(%q)", i, want[i])
		}
		i++
	}
}

func TestInt(t *testing.T) {
	for _, tc := range []struct {
		doc  string
		want int64
		ok   bool
	}{
		{`0`, 0, true},
		{`-0`, 0, true},
		{`42`, 42, true},
		{`9223372036854775807`, math.MaxInt64, true},
		{`-9223372036854775808`, math.MinInt64, true},
		{`9223372036854775808`, 0, false},
		{`123456789012345678901234567890`, 0, false},
		{`1.0`, 0, false},
		{`1e3`, 0, false},
		{`"1"`, 0, false},
		{`true`, 0, false},
	} {
		got, ok := parse(t, tc.doc).Int()
		if ok != tc.ok || ok && got != tc.want {
			t.Errorf("Int of %s = %d, %v; want %d, %v", tc.doc, got, ok, tc.want, tc.ok)
		}
	}
}

func TestRangeStops(t *testing.T) {
	v := parse(t, `{"list":[1,2,3],"more":4}`)
	n := 0
	for range v.Members {
		n++
		break
	}
	for range v.Get("list").Elements {
		n++
		break
	}
	if n != 2 {
		t.Errorf("%d steps, want 2", n)
	}
}

func TestRawKeepsToItsPlace(t *testing.T) {
	doc := []byte(`{"a":1,"b":2}`)
	var tape Tape
	if err := tape.Parse(doc); err != nil {
		t.Fatal(err)
	}
	_ = append(tape.Root().Get("a").Raw(), "xxx"...)
	if string(doc) != `{"a":1,"b":2}` {
		t.Errorf("appending to Raw changed the document: %s", doc)
	}
}

func TestValueMember(t *testing.T) {
	doc := parse(t, `{"a":null,"b":1,"c":"x\ny","d\u0065":"z"}`)
	for key, want := range map[string]Kind{"a": Absent, "b": Number, "c": String, "de": String, "f": Absent} {
		if got := doc.Member(key).Kind(); got != want {
			t.Errorf("member %s is of kind %d, want %d", key, got, want)
		}
	}
	if doc.Get("a").Present() || !doc.Get("b").Present() || doc.Get("f").Present() {
		t.Error("null or what is not there counts as present")
	}
	for key, want := range map[string]string{"c": "x\ny", "de": "z", "b": "", "f": ""} {
		if got := string(doc.Get(key).Unescaped()); got != want {
			t.Errorf("%s is %q unescaped, want %q", key, got, want)
		}
	}
	names := ""
	for key := range doc.Members {
		names += string(key.Unescaped()) + " "
	}
	if names != "a b c de " {
		t.Errorf("the names are %s", names)
	}
}
