package litellm

import (
	"fmt"
	"strings"
)

// site is what the site's directive says beside the defaults, and who may use it.
type site struct {
	options []string
	// key is the key that clients must show; empty: none.
	key string
}

// The site's defaults.
const (
	defaultAttempts, mostAttempts = 3, 5
	defaultTotal                  = 600 // seconds
)

// readSite reads what holds for all requests.
func (c *converter) readSite() {
	library, general := c.root.get("litellm_settings"), c.root.get("general_settings")
	c.readDefaultModel(general.get("completion_model"))
	c.readAttempts(c.first(c.root.get("router_settings").get("max_fallbacks"), library.get("max_fallbacks")))
	if mb, ok := c.count(general.get("max_request_size_mb"), 1, 1024); ok {
		c.say("max_body %.0fMiB", mb)
		c.take(general.get("max_request_size_mb"))
	}
	if total := c.longestCall(); total > defaultTotal {
		c.say("timeout total %s", words(total))
	}
	if drop, ok := c.flag(library.get("drop_params")); ok {
		if !drop {
			c.say("on_unsupported error")
		}
		c.take(library.get("drop_params"))
	}
	if key := general.get("master_key"); key.text() != "" {
		c.site.key = key.variable()
		c.take(key)
		if c.site.key == "" {
			c.site.key = c.variable("CLIENT_KEY")
			c.name(key, standInReason, c.site.key)
		}
	}
}

// say adds an option to the site's directive.
func (c *converter) say(format string, args ...any) {
	c.site.options = append(c.site.options, fmt.Sprintf(format, args...))
}

// readDefaultModel reads the model of requests that name none.
func (c *converter) readDefaultModel(f field) {
	if !f.there() {
		return
	}
	name := f.text()
	text, ok := quote(name)
	// In a site Caddy replaces placeholders, which a name in braces would be.
	if m := c.findModel(name); !ok || strings.Contains(name, "{") || (m == nil || m.pattern != "") && !c.isAlias(name) {
		c.name(f, "no model of this name was converted; `default_model` in the site takes one")
		return
	}
	c.say("default_model %s", text)
	c.take(f)
}

// readAttempts lets requests try as many sources as LiteLLM would try deployments,
// and reach all fallbacks, as far as the gateway goes.
func (c *converter) readAttempts(f field) {
	attempts := defaultAttempts
	for _, m := range c.models {
		attempts = max(attempts, min(len(m.sources), mostAttempts))
	}
	if r := &c.shared.retries; r.used {
		attempts = max(attempts, int(min(r.value+1, mostAttempts)))
	}
	if n, ok := c.count(f, 0, 1e6); ok {
		attempts = int(min(n+1, mostAttempts))
		c.take(f)
		if n+1 > mostAttempts {
			c.name(f, "a request tries at most %d sources", mostAttempts)
		}
	}
	if attempts != defaultAttempts {
		c.say("max_attempts %d", attempts)
	}
}

// longestCall is the longest time that an upstream may take, in seconds.
func (c *converter) longestCall() (longest float64) {
	for _, u := range c.upstreams {
		longest = max(longest, u.timeout, u.stream)
	}
	return longest
}
