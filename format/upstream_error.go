package format

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounded makes text of others fit for a message: valid UTF-8 without control
// characters, of at most n bytes.
func Bounded(s string, n int) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	const ellipsis = "…"
	cut := max(n-len(ellipsis), 0)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + ellipsis
}

// RetryAfter is how long an upstream asks to wait; 0 if it does not. It reads
// Retry-After-Ms and Retry-After and, with status 429, the headers in which
// OpenAI's and Anthropic's services tell when a limit begins anew. A year is the
// most.
func RetryAfter(status int, header http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(header.Get("Retry-After-Ms"), 64); err == nil {
		return units(ms, time.Millisecond)
	}
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return units(seconds, time.Second)
	}
	if until, err := http.ParseTime(value); err == nil {
		return waitUntil(header, until)
	}
	if status == http.StatusTooManyRequests {
		return rateLimitReset(header)
	}
	return 0
}

// rateLimits are the headers of limits: how much is left, and when it begins
// anew.
var rateLimits = [][2]string{
	{"X-Ratelimit-Remaining", "X-Ratelimit-Reset"},
	{"X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
	{"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	{"Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
	{"Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	{"Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset"},
	{"Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Reset"},
	{"Anthropic-Ratelimit-Unified-Remaining", "Anthropic-Ratelimit-Unified-Reset"},
}

// rateLimitReset reads when a limit that is used up begins anew: the latest one
// if several are. If none says that it is used up, the next one that begins anew
// may help.
func rateLimitReset(header http.Header) time.Duration {
	var used, next time.Duration
	for _, limit := range rateLimits {
		wait := untilReset(header, header.Get(limit[1]))
		if wait == 0 {
			continue
		}
		if header.Get(limit[0]) == "0" {
			used = max(used, wait)
		}
		if next == 0 || wait < next {
			next = wait
		}
	}
	if used > 0 {
		return used
	}
	return next
}

// untilReset reads when a limit begins anew: a duration such as 6m0s, a number of
// seconds, or a moment in RFC 3339, in seconds or in milliseconds since 1970.
func untilReset(header http.Header, value string) time.Duration {
	const moment, momentMs = 1e9, 1e12
	if until, err := time.Parse(time.RFC3339, value); err == nil {
		return waitUntil(header, until)
	}
	n, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil:
		wait, err := time.ParseDuration(value)
		if err != nil {
			return 0
		}
		return units(wait.Seconds(), time.Second)
	case n >= momentMs:
		return waitUntil(header, time.UnixMilli(int64(min(n, 1e15))))
	case n >= moment:
		return waitUntil(header, time.Unix(int64(n), 0))
	default:
		return units(n, time.Second)
	}
}

// waitUntil is how long it takes until a moment, by the upstream's own clock: this
// package has none.
func waitUntil(header http.Header, until time.Time) time.Duration {
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return units(until.Sub(now).Seconds(), time.Second)
}

// units is n units; 0 if n is negative or no number, and a year at most.
func units(n float64, unit time.Duration) time.Duration {
	const year = 365 * 24 * time.Hour
	if !(n > 0) {
		return 0
	}
	if n > float64(year/unit) {
		return year
	}
	return time.Duration(n * float64(unit))
}
