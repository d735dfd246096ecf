package aigateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// placeholderWord is a placeholder of the config that needs no quotes.
var placeholderWord = regexp.MustCompile(`^\{[a-z]+\.[A-Za-z0-9_./:-]+\}$`)

// quoted is a text as one word of a Caddyfile; ok is false for the few texts that
// can be none. Environment variables are still replaced in it, see noVariables.
func quoted(text string) (word string, ok bool) {
	switch {
	case text != "" && strings.IndexFunc(text, needsQuotes) < 0, placeholderWord.MatchString(text):
		return text, true
	case !strings.Contains(text, `"`) && fitsDoubleQuotes(text):
		return `"` + text + `"`, true
	case fitsBackticks(text):
		return "`" + text + "`", true
	case fitsDoubleQuotes(text):
		return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"`, true
	case !strings.Contains(text, "\r"):
		return heredoc(text), true
	default:
		return "", false
	}
}

// needsQuotes says whether a character cannot stand in every word without quotes.
func needsQuotes(r rune) bool {
	if unicode.IsLetter(r) || unicode.IsDigit(r) {
		return false
	}
	return !strings.ContainsRune("._-/:@+*=,~%&?!()[]|^;", r)
}

// fitsDoubleQuotes says whether a text can stand in double quotes: a backslash in
// front of a quote takes its meaning away, and cannot be written otherwise.
func fitsDoubleQuotes(text string) bool {
	odd := false // an odd number of backslashes stands in front
	for _, r := range text {
		switch {
		case r == '\\':
			odd = !odd
		case r == '"' && odd:
			return false
		default:
			odd = false
		}
	}
	return !odd
}

// fitsBackticks says whether a text can stand in backticks. A backslash at the end
// is nothing special to the lexer, but the formatter does not see the end behind it.
func fitsBackticks(text string) bool {
	return !strings.Contains(text, "`") && !strings.HasSuffix(text, `\`)
}

// heredoc is a text between two lines with a marker that it does not hold.
func heredoc(text string) string {
	marker := "END"
	for n := 2; strings.Contains(text, marker); n++ {
		marker = fmt.Sprintf("END%d", n)
	}
	return "<<" + marker + "\n" + text + "\n" + marker
}

// noVariables keeps what looks like an environment variable, `{$NAME}`, from being
// replaced: the variable without a name has "{$" as its default. It is meant for a
// whole file.
func noVariables(text string) string { return strings.ReplaceAll(text, "{$", "{$:{$}") }

// plainJSON is a value in the form in which it fits into backticks.
func plainJSON(raw json.RawMessage) (string, error) {
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return "", err
	}
	return strings.ReplaceAll(out.String(), "`", `\u0060`), nil
}
