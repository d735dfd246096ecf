package capability

import "strings"

// tables are the vendors' tables.
var tables = [][]entry{claude, openai, gemini}

// bedrock stands in front of the names that Amazon Bedrock gives to Claude,
// behind a region: "us.anthropic.claude-…".
const bedrock = "anthropic."

// Of returns what is known of a model by its upstream's name for it. Case, the
// path in front of the name ("anthropic/claude-…", "models/gemini-…") and a
// region ("us.anthropic.claude-…") do not matter, and a dot may stand where the
// vendor writes a dash ("claude-sonnet-4.5"). It does not allocate.
func Of(model string) Model {
	name := model[strings.LastIndexByte(model, '/')+1:]
	resold := len(name) < len(model) || strings.IndexByte(name, '@') >= 0
	found := longest(name)
	if i := indexFold(name, bedrock); i >= 0 {
		resold = true
		if found = longest(name[i:]); found == nil {
			found = longest(name[i+len(bedrock):])
		}
	}
	if found == nil {
		return Model{}
	}
	m := found.model
	// System turns in the middle are known of Anthropic's own endpoint only.
	m.MidSystem = m.MidSystem && !resold
	return m
}

// longest returns the entry with the longest pattern that fits; nil if none
// does.
func longest(name string) (best *entry) {
	for _, table := range tables {
		for i := range table {
			if e := &table[i]; (best == nil || len(e.pattern) > len(best.pattern)) && fits(name, e.pattern) {
				best = e
			}
		}
	}
	return best
}

// fits says that a name begins with a pattern. Resellers write a dot where
// Anthropic writes a dash; where the pattern has a dot the name must have it too,
// as "gpt-5.2" is another model than "gpt-5-2025-08-07".
func fits(name, pattern string) bool {
	if len(name) < len(pattern) {
		return false
	}
	for i := range len(pattern) {
		if c := lower(name[i]); c != pattern[i] && !(c == '.' && pattern[i] == '-') {
			return false
		}
	}
	return true
}

// indexFold returns where part, in lower case, first stands in name; -1 if
// nowhere.
func indexFold(name, part string) int {
	for i := 0; i+len(part) <= len(name); i++ {
		if strings.EqualFold(name[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// lower is a character of a name in lower case.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
