package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// told lists a report.
func told(r chat.Report) string {
	var out []string
	for _, l := range r {
		out = append(out, strings.TrimPrefix(l.Path, "schema.")+" "+string(l.Reason))
	}
	return strings.Join(out, ", ")
}

func TestAppendGemini(t *testing.T) {
	for _, tc := range []struct{ name, schema, want, lost string }{
		{
			"object", `{"$schema":"x","type":"object","properties":{"a":{"type":"string","description":"d"}},"required":["a"]}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","description":"d"}},"required":["a"]}`, "",
		},
		{"nothing", `{}`, `{"type":"OBJECT"}`, ""},
		{"true", `true`, `{"type":"OBJECT"}`, ""},
		{"line breaks", "{\"type\":\"string\",\"default\":[1,\n2]}", `{"type":"STRING","default":[1, 2]}`, ""},
		{"type array", `{"type":["string","null"]}`, `{"type":"STRING","nullable":true}`, ""},
		{
			"several types", `{"type":["string","integer","null"]}`,
			`{"anyOf":[{"type":"STRING","nullable":true},{"type":"INTEGER","nullable":true}]}`, "type approximated",
		},
		{"const", `{"const":"a"}`, `{"type":"STRING","enum":["a"]}`, ""},
		{"const number", `{"const":1}`, `{"type":"STRING","enum":["1"]}`, "enum approximated"},
		{"enum of numbers", `{"type":"integer","enum":[1,2.5,true]}`, `{"type":"STRING","enum":["1","2.5","true"]}`, "enum approximated"},
		{"enum with null", `{"enum":["a",null]}`, `{"type":"STRING","nullable":true,"enum":["a"]}`, ""},
		{"enum with an empty string", `{"type":"string","enum":["","b"]}`, `{"type":"STRING","enum":["b"]}`, "enum unsupported"},
		{"oneOf", `{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `{"anyOf":[{"type":"STRING"},{"type":"INTEGER"}]}`, ""},
		{"anyOf with null", `{"description":"d","anyOf":[{"type":"string"},{"type":"null"}]}`, `{"type":"STRING","nullable":true,"description":"d"}`, ""},
		{
			"anyOf beside properties", `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}`,
			`{"anyOf":[{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"required":["a"]},{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"required":["b"]}]}`, "",
		},
		{
			"allOf", `{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"a":{"description":"d"},"b":{"type":"integer"}},"required":["b"]}]}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","description":"d"},"b":{"type":"INTEGER"}},"required":["a","b"]}`, "",
		},
		{
			"reference", `{"type":"object","properties":{"a":{"$ref":"#/$defs/x~1y","description":"mine"}},"$defs":{"x/y":{"type":"integer","description":"theirs"}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"INTEGER","description":"mine"}}}`, "",
		},
		{"reference percent", `{"$ref":"#/definitions/a%20b","definitions":{"a b":{"type":"integer"}}}`, `{"type":"INTEGER"}`, ""},
		{
			"reference to alternatives", `{"type":"object","properties":{"a":{"$ref":"#/$defs/u"}},"$defs":{"u":{"anyOf":[{"$ref":"#/$defs/s"},{"type":"null"}]},"s":{"type":"string"}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}`, "",
		},
		{
			"cycle", `{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"},"v":{"type":"string"}}}}}`,
			`{"type":"OBJECT","properties":{"next":{"type":"OBJECT"},"v":{"type":"STRING"}}}`, "$ref approximated",
		},
		{"cycle of references", `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`, `{"type":"OBJECT"}`, "$ref approximated"},
		{
			"cycle of alternatives", `{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"array","items":{"$ref":"#/$defs/a"}}]}}}`,
			`{"anyOf":[{"type":"OBJECT"},{"type":"ARRAY","items":{"type":"OBJECT"}}]}`, "$ref approximated",
		},
		{"reference elsewhere", `{"$ref":"https://example.com/x"}`, `{"type":"OBJECT"}`, "$ref unsupported"},
		{"array without items", `{"type":"array"}`, `{"type":"ARRAY","items":{"type":"STRING"}}`, "items approximated"},
		{"tuple", `{"type":"array","prefixItems":[{"type":"integer"}],"minItems":1}`, `{"type":"ARRAY","minItems":1,"items":{"type":"INTEGER"}}`, "prefixItems approximated"},
		{
			"formats", `{"type":"object","properties":{"a":{"type":"string","format":"date-time"},"b":{"type":"string","format":"uri"},"c":{"type":"integer","format":"int64"}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING","format":"date-time"},"b":{"type":"STRING"},"c":{"type":"INTEGER","format":"int64"}}}`, "format unsupported",
		},
		{
			"required without a property", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a","a","b"]}`,
			`{"type":"OBJECT","properties":{"a":{"type":"STRING"}},"required":["a"]}`, "required unsupported",
		},
		{
			"unknown keywords", `{"type":"number","exclusiveMinimum":0,"additionalProperties":false,"not":{},"x-mine":1,"minimum":1}`,
			`{"type":"NUMBER","minimum":1}`, "exclusiveMinimum unsupported, additionalProperties unsupported, not unsupported, (unknown keyword) unsupported",
		},
		{"wrong kinds", `{"type":7,"properties":[],"required":"a","enum":"x","anyOf":{},"items":3,"minimum":"a","description":5}`, `{"type":"OBJECT"}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, report, err := AppendGemini(nil, formattest.Parse(t, tc.schema), new(Budget))
			if err != nil || string(got) != tc.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, tc.want)
			}
			if told(report) != tc.lost {
				t.Errorf("lost %q, want %q", told(report), tc.lost)
			}
		})
	}
}

// References that multiply, and schemas nested without end, end in an error.
func TestAppendGeminiIsBounded(t *testing.T) {
	var doubling strings.Builder
	doubling.WriteString(`{"$ref":"#/$defs/n0","$defs":{`)
	for i := range 40 {
		doubling.WriteString(`"n` + itoa(i) + `":{"type":"object","properties":{"a":{"$ref":"#/$defs/n` + itoa(i+1) + `"},"b":{"$ref":"#/$defs/n` + itoa(i+1) + `"}}},`)
	}
	doubling.WriteString(`"n40":{"type":"string"}}}`)
	deep := strings.Repeat(`{"type":"array","items":`, 100) + `{}` + strings.Repeat(`}`, 100)
	wide := `{"required":[` + strings.Repeat(`"x",`, 5000) + `"x"],"anyOf":[` + strings.Repeat(`{"type":"string"},`, 5000) + `{}]}`
	for name, doc := range map[string]string{"doubling": doubling.String(), "deep": deep, "wide": wide} {
		t.Run(name, func(t *testing.T) {
			got, _, err := AppendGemini([]byte("x"), formattest.Parse(t, doc), new(Budget))
			if !errors.Is(err, ErrTooLarge) || string(got) != "x" {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
	if _, err := AppendJSON(nil, formattest.Parse(t, deep)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("reverse: %v", err)
	}
}

func itoa(i int) string { return string(chat.NumberOf(int64(i))) }

func TestAppendJSON(t *testing.T) {
	for _, tc := range []struct{ name, schema, want string }{
		{
			"object", `{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}},"required":["a"],"propertyOrdering":["a"]}`,
			`{"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"]}`,
		},
		{
			"a property named type", `{"type":"OBJECT","properties":{"type":{"type":"STRING"},"nullable":{"type":"BOOLEAN"}}}`,
			`{"type":"object","properties":{"type":{"type":"string"},"nullable":{"type":"boolean"}}}`,
		},
		{"snake case", `{"any_of":[{"type":"STRING"}],"min_items":"2"}`, `{"anyOf":[{"type":"string"}],"minItems":2}`},
		{"enum", `{"type":"STRING","format":"enum","enum":["a"],"nullable":true}`, `{"type":["string","null"],"enum":["a",null]}`},
		{"alternatives", `{"anyOf":[{"type":"INTEGER"}],"nullable":true}`, `{"anyOf":[{"type":"integer"},{"type":"null"}]}`},
		{"unspecified", `{"type":"TYPE_UNSPECIFIED"}`, `{}`},
		{"array", `{"type":"ARRAY","items":{"type":"NUMBER","format":"double"},"example":[1]}`, `{"type":"array","items":{"type":"number","format":"double"},"examples":[[1]]}`},
		{"JSON Schema", `{"type":["string","null"],"$ref":"#/x","additionalProperties":false}`, `{"type":["string","null"],"$ref":"#/x","additionalProperties":false}`},
		{"broken number", `{"minItems":"x","maximum":"1e"}`, `{}`},
		{"no object", `true`, `true`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := AppendJSON(nil, formattest.Parse(t, tc.schema))
			if err != nil || string(got) != tc.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, tc.want)
			}
		})
	}
}

// What is converted to Gemini and back, and to Gemini again, stays the same.
func FuzzConvert(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x",null]},"b":{"$ref":"#/$defs/n"}},"required":["a"],"$defs":{"n":{"anyOf":[{"type":"integer"},{"$ref":"#"}]}}}`))
	f.Add([]byte(`{"allOf":[{"items":[{"const":1}]},{"$ref":"#/allOf/0"}]}`))
	f.Add([]byte(`{"type":"ARRAY","nullable":true,"any_of":[{"type":"NULL"}],"minItems":"3"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		var index tape.Tape
		if index.Parse(content) != nil {
			return
		}
		if out, err := AppendJSON(nil, index.Root()); err == nil && !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
		once, _, err := AppendGemini(nil, index.Root(), new(Budget))
		if err != nil {
			return
		}
		if !json.Valid(once) || strings.ContainsAny(string(once), "\r\n") {
			t.Fatalf("not JSON on a line: %s", once)
		}
		back, err := AppendJSON(nil, formattest.Parse(t, string(once)))
		if err != nil || !json.Valid(back) {
			t.Fatalf("back: %v %s", err, back)
		}
		if _, _, err := AppendGemini(nil, formattest.Parse(t, string(back)), new(Budget)); err != nil {
			t.Fatalf("again: %v", err)
		}
	})
}

// Many schemas cost no more together than a few of the largest.
func TestBudget(t *testing.T) {
	doc := `{"type":"object","properties":{"a":{"$ref":"#/$defs/d0"}},"$defs":{`
	for i := range 12 {
		doc += fmt.Sprintf(`"d%d":{"type":"object","properties":{"x":{"$ref":"#/$defs/d%d"},"y":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
	}
	v := formattest.Parse(t, doc+`"d12":{"type":"string"}}}`)
	var budget Budget
	converted := 0
	for ; converted < 1000; converted++ {
		if _, _, err := AppendGemini(nil, v, &budget); err != nil {
			if !errors.Is(err, ErrTooLarge) {
				t.Fatal(err)
			}
			break
		}
	}
	if converted < 5 || converted > 100 {
		t.Errorf("%d large schemas were converted", converted)
	}
	if _, _, err := AppendGemini(nil, formattest.Parse(t, `{}`), &budget); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a budget that is used up: %v", err)
	}
}
