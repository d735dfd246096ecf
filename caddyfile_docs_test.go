package aigateway

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestOptionsHaveExamples looks for each option in the examples of
// docs/caddyfile.md, which other tests adapt.
func TestOptionsHaveExamples(t *testing.T) {
	page, err := os.ReadFile("docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	first, anywhere := make(map[string]bool), make(map[string]bool)
	for _, block := range regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			words := strings.Fields(line)
			if len(words) > 0 {
				first[words[0]] = true
			}
			for _, word := range words {
				anywhere[word] = true
			}
		}
	}
	for _, word := range slices.Concat(globalOptions, siteOptions, upstreamOptions, modelOptions, aliasOptions, healthOptions, circuitOptions) {
		if !first[word] {
			t.Errorf("the option %s has no example", word)
		}
	}
	for _, word := range sourceOptions {
		if !anywhere[word] {
			t.Errorf("the option %s of sources has no example", word)
		}
	}
}
