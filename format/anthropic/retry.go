package anthropic

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
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return duration(seconds, time.Second)
	}
	if until, err := http.ParseTime(value); err == nil {
		return since(header, until)
	}
	if status == http.StatusTooManyRequests {
		return rateLimitReset(header)
	}
	return 0
}

// rateLimitReset reads when a limit that is used up begins anew: the latest one
// if several are. If none says that it is used up, the next one that begins anew
// may help.
func rateLimitReset(header http.Header) time.Duration {
	var used, next time.Duration
	for _, limit := range []string{"Requests", "Tokens", "Input-Tokens", "Output-Tokens", "Unified"} {
		wait := reset(header, header.Get("Anthropic-Ratelimit-"+limit+"-Reset"))
		if wait == 0 {
			continue
		}
		if header.Get("Anthropic-Ratelimit-"+limit+"-Remaining") == "0" {
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

// reset reads the moment at which a limit begins anew: RFC 3339, or seconds
// since 1970.
func reset(header http.Header, value string) time.Duration {
	if until, err := time.Parse(time.RFC3339, value); err == nil {
		return since(header, until)
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds < 1<<40 {
		return since(header, time.Unix(seconds, 0))
	}
	return 0
}

// since is how long it takes until a moment, by the upstream's own clock: this
// package has none.
func since(header http.Header, until time.Time) time.Duration {
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return duration(until.Sub(now).Seconds(), time.Second)
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
