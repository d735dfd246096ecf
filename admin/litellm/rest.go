package litellm

import (
	"regexp"
	"strings"
)

// nameRest names everything that is neither in the Caddyfile nor named yet: the
// fields of sections and entries one by one, and whole what nothing is known of.
func (c *converter) nameRest(f field) {
	switch {
	case c.settled(f):
	case (f.isMap() || f.isList()) && isSection(f.path) || c.partly(f):
		for _, child := range f.pairs {
			c.nameRest(child)
		}
		for child := range f.items {
			c.nameRest(child)
		}
	default:
		c.name(f, "%s", reasonFor(f.path))
	}
}

// partly says that something below a value is settled.
func (c *converter) partly(f field) bool {
	for _, child := range f.pairs {
		if c.taken[child.node] || c.named[child.node] || c.partly(child) {
			return true
		}
	}
	for child := range f.items {
		if c.taken[child.node] || c.named[child.node] || c.partly(child) {
			return true
		}
	}
	return false
}

// sections are the maps and lists whose values are named one by one.
var sections = map[string]bool{
	"":                                    true,
	"model_list":                          true,
	"model_list[]":                        true,
	"model_list[].litellm_params":         true,
	"model_list[].model_info":             true,
	"model_list[].litellm_params.headers": true,
	"model_list[].litellm_params.extra_headers": true,
	"router_settings":                     true,
	"litellm_settings":                    true,
	"general_settings":                    true,
	"environment_variables":               true,
	"credential_list":                     true,
	"credential_list[]":                   true,
	"credential_list[].credential_values": true,
}

var index = regexp.MustCompile(`\[\d+\]`)

// pattern is a path without the numbers of items.
func pattern(path string) string { return index.ReplaceAllString(path, "[]") }

func isSection(path string) bool { return sections[pattern(path)] }

// reasonFor says what becomes of the value at a path.
func reasonFor(path string) string {
	p := pattern(path)
	if reason, ok := reasons[p]; ok {
		return reason
	}
	best, reason := -1, "the gateway does not know this setting, so that nothing was made of it"
	for known, r := range reasons {
		if length := len(known); strings.HasSuffix(known, "*") && length > best && strings.HasPrefix(p, known[:length-1]) {
			best, reason = length, r
		}
	}
	return reason
}
