package capability

import "strings"

// tables are the vendors' tables.
var tables = [][]entry{}

// Of returns what is known of a model by its upstream's name for it. Case, the
// path in front of the name ("anthropic/claude-…", "models/gemini-…") and a
// region ("us.anthropic.claude-…") do not matter.
func Of(model string) Model {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	if i := strings.Index(name, "anthropic."); i >= 0 {
		name = name[i+len("anthropic."):]
	}
	var best entry
	for _, table := range tables {
		for _, e := range table {
			if len(e.pattern) > len(best.pattern) && strings.HasPrefix(name, e.pattern) {
				best = e
			}
		}
	}
	return best.model
}
