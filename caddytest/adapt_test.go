package caddytest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const dashes = "----------\n"

// TestAdapt holds every Caddyfile of testdata/adapt against what it becomes.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files to test (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(data), dashes)
			got, valid := adaptText(t, input)
			if *update {
				if err := os.WriteFile(file, []byte(input+dashes+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if formatted := caddyfile.Format([]byte(input)); valid && !bytes.Equal(formatted, []byte(input)) {
				t.Errorf("caddy fmt would change the file to\n%s", formatted)
			}
		})
	}
}

// adaptText returns the indented JSON of a Caddyfile that is valid, also when
// it is provisioned, or else its error.
func adaptText(t *testing.T, input string) (text string, valid bool) {
	t.Helper()
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err.Error(), false
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Errorf("unexpected warning: %s", w)
		}
	}
	var parsed caddy.Config
	if err := json.Unmarshal(config, &parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&parsed); err != nil {
		return "invalid: " + err.Error(), false
	}
	var out bytes.Buffer
	if err := json.Indent(&out, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String(), true
}

// TestDocumentedCaddyfiles adapts every Caddyfile that a document shows.
func TestDocumentedCaddyfiles(t *testing.T) {
	block := regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, document := range append(documents, "../README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range block.FindAllStringSubmatch(string(text), -1) {
			found++
			if got, valid := adaptText(t, match[1]); !valid {
				t.Errorf("%s shows a Caddyfile that is refused: %s\n%s", document, got, match[1])
			}
			if formatted := caddyfile.Format([]byte(match[1])); string(formatted) != match[1] {
				t.Errorf("%s shows a Caddyfile that caddy fmt would change to\n%s", document, formatted)
			}
		}
	}
	if found < 3 {
		t.Errorf("found only %d Caddyfiles in the documents", found)
	}
}
