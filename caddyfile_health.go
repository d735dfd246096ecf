package aigateway

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// healthOptions are the words of a health block.
var healthOptions = []string{
	"path", "models", "probe", "interval", "timeout", "healthy", "unhealthy", "status", "header",
}

// parseHealth parses the checks of an upstream; the cursor is on the word health:
//
//	health {
//		path      <path>            # asks for this path on the upstream's host,
//		models                      # or for the list of models (the default),
//		probe     <model>           # or a model a short question, which is charged for
//		interval  <duration>        # default 30s
//		timeout   <duration>        # default 5s
//		healthy   <number>          # successes in a row; default 2
//		unhealthy <number>          # failures in a row; default 3
//		status    <status>|<class>  # default 2xx
//		header    <name> <value>    # beside those of the upstream
//	}
//
// Without a block the list of models is asked for every 30s.
func parseHealth(d *caddyfile.Dispenser) (*upstream.Health, error) {
	if args := d.RemainingArgs(); len(args) > 0 {
		return nil, d.Errf("health takes a block, not %q", strings.Join(args, " "))
	}
	h, seen := new(upstream.Health), make(map[string]caddyfile.Token)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if _, ok := seen[word]; ok && word != "header" {
			return nil, d.Errf("%s stands twice in this health block", word)
		}
		seen[word] = d.Token()
		if err := parseHealthOption(d, h, word); err != nil {
			return nil, err
		}
	}
	if err := h.Validate(); err != nil {
		word, _, _ := strings.Cut(err.Error(), ":")
		if at, ok := seen[word]; ok {
			return nil, errAt(at, "health: %v", err)
		}
		return nil, d.Errf("health: %v", err)
	}
	return h, nil
}

// parseHealthOption parses one option; the cursor is on its name.
func parseHealthOption(d *caddyfile.Dispenser, h *upstream.Health, word string) (err error) {
	switch word {
	case "path":
		h.Path, err = oneArg(d)
		return err
	case "models":
		h.Models = true
		return noArgs(d)
	case "probe":
		h.Probe, err = oneArg(d)
		return err
	case "interval", "timeout":
		text, err := oneArg(d)
		if err != nil {
			return err
		}
		limit, err := duration(d, text)
		if word == "interval" {
			h.Interval = limit
		} else {
			h.Timeout = limit
		}
		return err
	case "healthy":
		h.Healthy, err = intArg(d, 1, 100)
		return err
	case "unhealthy":
		h.Unhealthy, err = intArg(d, 1, 100)
		return err
	case "status":
		h.Status, err = oneArg(d)
		return err
	case "header":
		return parseHeader(d, &h.Headers)
	default:
		return unknown(d, "health option", word, healthOptions...)
	}
}

// parseHeader parses a header's name and value.
func parseHeader(d *caddyfile.Dispenser, to *http.Header) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("header takes a name and a value")
	}
	if *to == nil {
		*to = make(http.Header)
	}
	to.Add(args[0], args[1])
	return nil
}
