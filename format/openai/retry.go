package openai

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfter is how long an upstream asks to wait; 0 if it does not.
func retryAfter(status int, header http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(header.Get("Retry-After-Ms"), 64); err == nil {
		return duration(ms, time.Millisecond)
	}
	if wait, ok := retryAfterHeader(header); ok {
		return wait
	}
	if status == http.StatusTooManyRequests {
		return rateLimitReset(header)
	}
	return 0
}

// retryAfterHeader reads Retry-After: seconds, or a date.
func retryAfterHeader(header http.Header) (time.Duration, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return duration(seconds, time.Second), true
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return since(header, until)
}

// since is how long it takes until a moment, by the upstream's own clock: this
// package has none.
func since(header http.Header, until time.Time) (time.Duration, bool) {
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0, false
	}
	return max(until.Sub(now), 0), true
}

// rateLimitReset reads when a limit that is used up begins anew: the later one
// if both the requests' and the tokens' are.
func rateLimitReset(header http.Header) time.Duration {
	var used, any time.Duration
	for _, limit := range []string{"", "-Requests", "-Tokens"} {
		wait, ok := reset(header, header.Get("X-Ratelimit-Reset"+limit))
		if !ok {
			continue
		}
		if header.Get("X-Ratelimit-Remaining"+limit) == "0" {
			used = max(used, wait)
		}
		if any == 0 || wait < any {
			any = wait
		}
	}
	if used > 0 {
		return used
	}
	return any
}

// reset reads a time until a limit begins anew: a duration such as 6m0s, a
// number of seconds, or a moment in seconds or milliseconds since 1970.
func reset(header http.Header, value string) (time.Duration, bool) {
	const moment, momentMs = 1e9, 1e12
	if value == "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil:
		wait, err := time.ParseDuration(value)
		return max(wait, 0), err == nil
	case n >= momentMs:
		return since(header, time.UnixMilli(int64(min(n, 1e15))))
	case n >= moment:
		return since(header, time.Unix(int64(n), 0))
	default:
		return duration(n, time.Second), true
	}
}

// duration is n units; 0 if n is negative or no number, and a year at most.
func duration(n float64, unit time.Duration) time.Duration {
	const year = 365 * 24 * time.Hour
	if !(n > 0) {
		return 0
	}
	if n > float64(year/unit) {
		return year
	}
	return time.Duration(n * float64(unit))
}
