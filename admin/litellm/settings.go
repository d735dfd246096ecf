package litellm

import (
	"math"
	"time"
)

// inherited is a setting for all entries that have none of their own.
type inherited struct {
	field field
	value float64
	used  bool
}

// shared are the settings that upstreams take over.
type shared struct {
	timeout, streamTimeout, retries inherited
}

// readShared reads what entries inherit. What router_settings say goes before
// litellm_settings, as in LiteLLM.
func (c *converter) readShared() {
	router, library := c.root.get("router_settings"), c.root.get("litellm_settings")
	c.shared.timeout = c.inherit(c.seconds, router.get("timeout"), library.get("request_timeout"))
	c.shared.streamTimeout = c.inherit(c.seconds, router.get("stream_timeout"))
	c.shared.retries = c.inherit(c.retries, router.get("num_retries"), router.get("max_retries"), library.get("num_retries"))
}

// inherit reads the first of the fields that is there.
func (c *converter) inherit(read func(field) (float64, bool), fields ...field) inherited {
	f := c.first(fields...)
	value, ok := read(f)
	if !ok {
		return inherited{}
	}
	return inherited{field: f, value: value}
}

// first is the first of the fields that is there; the others are named.
func (c *converter) first(fields ...field) field {
	var found field
	for _, f := range fields {
		switch {
		case !f.there():
		case !found.there():
			found = f
		default:
			c.name(f, "%s decides", found.path)
		}
	}
	return found
}

// either is a number of an entry's own, or else the inherited one. It takes the
// field that it is from.
func (c *converter) either(read func(field) (float64, bool), from *inherited, own ...field) (float64, bool) {
	f := c.first(own...)
	if value, ok := read(f); ok {
		c.take(f)
		return value, true
	}
	if f.there() || !from.field.there() {
		return 0, false
	}
	from.used = true
	return from.value, true
}

// unused settles what entries could have inherited.
func (c *converter) unused() {
	for _, s := range []*inherited{&c.shared.timeout, &c.shared.streamTimeout, &c.shared.retries} {
		if s.used {
			c.take(s.field)
			continue
		}
		c.name(s.field, "no entry that was converted needs it")
	}
}

// longest is the longest duration that is taken over, in seconds.
const longest = 24 * 60 * 60

// seconds reads a duration in seconds, and names one that cannot be used.
func (c *converter) seconds(f field) (float64, bool) {
	if !f.there() {
		return 0, false
	}
	n, ok := f.number()
	if !ok || n < 0.001 || n > longest {
		c.name(f, "is no number of seconds up to a day; set the duration by hand")
		return 0, false
	}
	return n, true
}

// retries reads how often a request is repeated. The gateway repeats it at the same
// source once or never; the rest of LiteLLM's number goes to other sources.
func (c *converter) retries(f field) (float64, bool) {
	n, ok := c.count(f, 0, math.MaxInt32)
	if n > 1 {
		c.name(f, "one request asks the same source again at most once, and as many others as max_attempts in the site says")
	}
	return n, ok
}

// count reads a whole number, and names one that cannot be used.
func (c *converter) count(f field, low, high float64) (float64, bool) {
	if !f.there() {
		return 0, false
	}
	n, ok := f.number()
	if !ok || n != math.Trunc(n) || n < low || n > high {
		c.name(f, "is no whole number from %.0f to %.0f; set it by hand", low, high)
		return 0, false
	}
	return n, true
}

// flag reads a value that is true or false, and names any other.
func (c *converter) flag(f field) (value, ok bool) {
	if !f.there() {
		return false, false
	}
	value, ok = f.boolean()
	if !ok {
		c.name(f, "is neither true nor false")
	}
	return value, ok
}

// words reads a duration for the Caddyfile.
func words(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	switch {
	case d%time.Hour == 0:
		return trimmed(d, "0m0s")
	case d%time.Minute == 0:
		return trimmed(d, "0s")
	default:
		return d.String()
	}
}

func trimmed(d time.Duration, zeros string) string {
	text := d.String()
	return text[:len(text)-len(zeros)]
}

// circuit is when circuits open, for all upstreams.
type circuit struct {
	off      bool
	failures float64 // 0: the default
	openFor  float64 // seconds; 0: the default
}

// readCircuit reads cooldowns. LiteLLM leaves a deployment alone that failed more
// often than allowed within a minute.
func (c *converter) readCircuit() {
	router, library := c.root.get("router_settings"), c.root.get("litellm_settings")
	off, allowed := router.get("disable_cooldowns"), c.first(router.get("allowed_fails"), library.get("allowed_fails"))
	pause := c.first(router.get("cooldown_time"), library.get("cooldown_time"))
	if disabled, ok := c.flag(off); ok {
		c.circuit.off = disabled
		c.take(off)
	}
	if c.circuit.off {
		c.name(allowed, "disable_cooldowns is true")
		c.name(pause, "disable_cooldowns is true")
		return
	}
	if n, ok := c.count(allowed, 0, 999); ok {
		c.circuit.failures = n + 1
		c.take(allowed)
	}
	if s, ok := c.seconds(pause); ok {
		c.circuit.openFor = s
		c.take(pause)
	}
}
