package upstream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// quirks are ways in which a service differs from the format it speaks.
type quirks struct {
	// legacyMaxTokens: knows max_tokens, but not max_completion_tokens.
	legacyMaxTokens bool
	// noStreamOptions: refuses stream_options.
	noStreamOptions bool
	// noDeveloperRole: knows system, but not developer.
	noDeveloperRole bool
	// reasoningBack: wants the reasoning of earlier turns back.
	reasoningBack bool
	// detailsBack: wants the reasoning_details of earlier turns back.
	detailsBack bool
	// ownSchemas: knows Gemini's own schemas only, not JSON Schema.
	ownSchemas bool
	// cacheMarks: takes prompt_cache_breakpoint, for the models that do.
	cacheMarks bool
	// pinnedVersion: has the format under the version in its path only.
	pinnedVersion bool
}

// quirkNames are the quirks that a configuration can name.
var quirkNames = map[string]func(*quirks) *bool{
	"max_tokens_only":        func(q *quirks) *bool { return &q.legacyMaxTokens },
	"no_stream_options":      func(q *quirks) *bool { return &q.noStreamOptions },
	"no_developer_role":      func(q *quirks) *bool { return &q.noDeveloperRole },
	"reasoning_content_back": func(q *quirks) *bool { return &q.reasoningBack },
	"reasoning_details_back": func(q *quirks) *bool { return &q.detailsBack },
	"gemini_schemas":         func(q *quirks) *bool { return &q.ownSchemas },
	"cache_marks":            func(q *quirks) *bool { return &q.cacheMarks },
}

// QuirkNames lists the quirks that a configuration can name, sorted.
func QuirkNames() []string { return slices.Sorted(maps.Keys(quirkNames)) }

// apply adds the named quirks; a name with "-" in front takes one away.
func (q *quirks) apply(names []string) error {
	for i, name := range names {
		plain, off := strings.CutPrefix(name, "-")
		field, ok := quirkNames[plain]
		if !ok {
			return fmt.Errorf("quirks[%d]: unknown quirk %q; known: %s", i, plain, strings.Join(QuirkNames(), ", "))
		}
		*field(q) = !off
	}
	return nil
}
