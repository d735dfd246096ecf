package upstream

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

const (
	// shortestSecret is the length from which a text is worth hiding, in bytes; a
	// shorter one occurs in any text by chance.
	shortestSecret = 6
	// shortestPart is the same for the beginning of a secret at the end of a text
	// that was cut off.
	shortestPart = 4
	// hidden stands in the place of a secret.
	hidden = "[hidden]"
	// ellipsis is what a text ends with that was cut off: see format.Bounded.
	ellipsis = "…"
)

// scrubber hides the secrets of an upstream. It is safe for concurrent use.
type scrubber struct {
	all   *strings.Replacer
	forms []string // that the secrets may have
}

// newScrubber makes the scrubber of the secrets; nil if there are none.
func newScrubber(secrets []string) *scrubber {
	s := new(scrubber)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // the longest match first
	var pairs []string
	for _, secret := range secrets {
		if len(secret) < shortestSecret {
			continue
		}
		for _, form := range spellings(secret) {
			s.forms = append(s.forms, form)
			pairs = append(pairs, form, hidden)
		}
	}
	if pairs == nil {
		return nil
	}
	s.all = strings.NewReplacer(pairs...)
	return s
}

// hide hides the secrets in a text. Of a text that was cut off it also hides the
// beginning of one at its end.
func (s *scrubber) hide(text string) string {
	text = s.all.Replace(text)
	rest, cut := strings.CutSuffix(text, ellipsis)
	if !cut {
		return text
	}
	longest := 0
	for _, form := range s.forms {
		for n := min(len(form), len(rest)); n >= shortestPart && n > longest; n-- {
			if strings.HasSuffix(rest, form[:n]) {
				longest = n
			}
		}
	}
	if longest == 0 {
		return text
	}
	return rest[:len(rest)-longest] + hidden + ellipsis
}

// spellings are the ways in which a text may come back: as it is, with its line
// breaks as spaces, as in JSON and as in an address.
func spellings(text string) []string {
	all := []string{text}
	for _, form := range slices.Concat(inMessages(text), inJSON(text), inAddresses(text)) {
		if !slices.Contains(all, form) {
			all = append(all, form)
		}
	}
	return all
}

// inMessages is the way in which a text stands in what was made fit for a message.
func inMessages(text string) []string {
	return []string{strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)}
}

// inJSON are the ways in which a text stands in JSON: as it is, with the escapes
// that every writer needs, and with those that Go adds for HTML; each of them also
// with PHP's.
func inJSON(text string) []string {
	forms := []string{text, string(chat.Quote(text).Inner())}
	if escaped, err := json.Marshal(text); err == nil { // a string always can be
		forms = append(forms, string(escaped[1:len(escaped)-1]))
	}
	for _, form := range slices.Clone(forms) {
		forms = append(forms, strings.ReplaceAll(form, "/", `\/`))
	}
	return forms
}

// inAddresses are the ways in which a text stands in an address: writers differ in
// what they escape, and in the case of the digits.
func inAddresses(text string) []string {
	query := escapeQuery(text)
	forms := []string{
		query, url.QueryEscape(text), url.PathEscape(text),
		strings.ReplaceAll(query, "%2F", "/"), browserMarks.Replace(query),
	}
	for _, form := range slices.Clone(forms) {
		forms = append(forms, escapedByte.ReplaceAllStringFunc(form, strings.ToLower))
	}
	return forms
}

// browserMarks are what encodeURIComponent leaves as it is.
var browserMarks = strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")

var escapedByte = regexp.MustCompile(`%[0-9A-F]{2}`)

// keyShaped is text that looks like a key of one of the known providers. The
// upstream may be a gateway itself, and repeat a key that is its own.
var keyShaped = regexp.MustCompile(`\b(?:sk|pk|rk|gsk|csk|xai|pplx|nvapi|hf)[-_][A-Za-z0-9_-]{8,}` +
	`|\bAIza[A-Za-z0-9_-]{20,}|(?i:\bbearer\s+)[A-Za-z0-9._~+/-]{8,}=*`)

// Scrub hides the upstream's secrets, and whatever else is shaped like a key, in
// a text that it has sent: some services repeat the key in their errors. A text that
// is to be cut off is scrubbed before.
func (u *Upstream) Scrub(text string) string {
	if u.scrubber != nil {
		text = u.scrubber.hide(text)
	}
	return keyShaped.ReplaceAllString(text, hidden)
}
