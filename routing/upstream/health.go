package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// Health describes the calls that find out whether an upstream works. At most
// one of path, models and probe is set; without any of them the list of models
// is asked for, which costs nothing.
//
// Enough failures in a row make the upstream unhealthy, which bars it whatever
// its circuits say; enough successes end that. An answer with status 429 counts
// as neither: the service is there. Where there are several credentials, one
// that is refused does not make the upstream unhealthy while another is taken.
type Health struct {
	// A path on the host of base_url that is asked for with GET, such as
	// `/health`. Default: none.
	Path string `json:"path,omitempty"`

	// Asks for the list of models. Default: true if neither path nor probe is set.
	Models bool `json:"models,omitempty"`

	// A model that is sent a short question, which providers charge for.
	// Default: none.
	Probe string `json:"probe,omitempty"`

	// The time from the end of one check to the next, at least 1s; it is varied by a
	// tenth. Default: 30s.
	Interval caddy.Duration `json:"interval,omitempty"`

	// How long a check may take, at most the interval. Default: 5s, or the interval
	// if that is shorter.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many successes in a row make an unhealthy upstream healthy, 1 to 100.
	// Default: 2.
	Healthy int `json:"healthy,omitempty"`

	// How many failures in a row make it unhealthy, 1 to 100. Default: 3.
	Unhealthy int `json:"unhealthy,omitempty"`

	// The status that means success: a number, or a class such as `2xx`.
	// Default: `2xx`.
	Status string `json:"status,omitempty"`

	// Headers of the checks, beside those of the upstream. Global placeholders are
	// resolved. Default: none.
	Headers http.Header `json:"headers,omitempty"`
}

// The defaults and limits of checks.
const (
	defaultCheckInterval = 30 * time.Second
	defaultCheckTimeout  = 5 * time.Second
	defaultHealthy       = 2
	defaultUnhealthy     = 3
	defaultStatus        = "2xx"
	minCheckInterval     = time.Second
	maxCheckInterval     = 24 * time.Hour
	maxCheckCount        = 100
)

// Validate refuses what makes no sense. An error begins with the field's name.
func (h *Health) Validate() error {
	interval, timeout := h.interval(), time.Duration(h.Timeout)
	switch {
	case h.Path != "" && h.Models, h.Path != "" && h.Probe != "", h.Models && h.Probe != "":
		return errors.New("path, models and probe exclude each other")
	case interval < minCheckInterval || interval > maxCheckInterval:
		return fmt.Errorf("interval: must be from %s to %s", minCheckInterval, maxCheckInterval)
	case timeout < 0:
		return errors.New("timeout: must not be negative")
	case timeout > interval:
		return fmt.Errorf("timeout: must not be longer than the interval, which is %s", interval)
	case h.Healthy < 0 || h.Healthy > maxCheckCount:
		return fmt.Errorf("healthy: must be a number from 1 to %d", maxCheckCount)
	case h.Unhealthy < 0 || h.Unhealthy > maxCheckCount:
		return fmt.Errorf("unhealthy: must be a number from 1 to %d", maxCheckCount)
	}
	if h.Path != "" && h.Path != "/" {
		if err := checkPath(h.Path); err != nil {
			return fmt.Errorf("path: %w", err)
		}
	}
	if _, _, err := h.statuses(); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

func (h *Health) interval() time.Duration { return replaced(defaultCheckInterval, h.Interval) }

// statuses returns the lowest and the highest status that mean success.
func (h *Health) statuses() (low, high int, err error) {
	text := h.Status
	if text == "" {
		text = defaultStatus
	}
	class, isClass := strings.CutSuffix(strings.ToLower(text), "xx")
	digits := 3
	if isClass {
		digits = 1
	}
	n := 0
	for _, c := range []byte(class) {
		if c < '0' || c > '9' {
			n = 0
			break
		}
		n = n*10 + int(c-'0')
	}
	if isClass {
		low, high = n*100, n*100+99
	} else {
		low, high = n, n
	}
	if len(class) != digits || low < 200 || high > 599 {
		return 0, 0, fmt.Errorf("%q is neither a status from 200 to 599 nor a class such as 2xx", text)
	}
	return low, high, nil
}

// checks are the checks of an upstream, ready to be made. They are immutable.
type checks struct {
	raw                []byte // the definition
	interval, timeout  time.Duration
	healthy, unhealthy int
	low, high          int // statuses that mean success
	// url and header are of a GET request.
	url    *url.URL
	header http.Header
	// probe and question are the format and the body of a call to a model, and
	// model is its name.
	probe    format.ID
	model    string
	question []byte
}

// definition stands for what the marks of an upstream are about.
func (c *checks) definition(identity string) string {
	if c == nil {
		return ""
	}
	return identity + " " + string(c.raw)
}

// prepareHealth settles the checks and returns the secrets in their headers.
func (u *Upstream) prepareHealth(repl *caddy.Replacer) ([]string, error) {
	u.health = nil
	if u.Health == nil {
		return nil, nil
	}
	if err := u.Health.Validate(); err != nil {
		return nil, fmt.Errorf("health.%w", err)
	}
	header, secrets, err := resolveHeaders(repl, "health.headers", u.Health.Headers)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(u.Health)
	if err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	c := &checks{
		raw:       raw,
		interval:  u.Health.interval(),
		healthy:   u.Health.Healthy,
		unhealthy: u.Health.Unhealthy,
		header:    header,
	}
	c.timeout = replaced(min(defaultCheckTimeout, c.interval), u.Health.Timeout)
	setDefault(&c.healthy, defaultHealthy)
	setDefault(&c.unhealthy, defaultUnhealthy)
	if c.low, c.high, err = u.Health.statuses(); err != nil {
		return nil, fmt.Errorf("health.status: %w", err)
	}
	u.health = c
	switch {
	case len(u.endpoints) == 0: // not configured, so that nothing is asked
		return secrets, nil
	case u.Health.Probe != "":
		return secrets, u.aimProbe(u.Health.Probe)
	case u.Health.Path != "":
		return secrets, u.aimPath(u.Health.Path)
	default:
		return secrets, u.aimModels()
	}
}

// aimPath makes the checks ask for a path on the host of the first format.
func (u *Upstream) aimPath(path string) error {
	for _, f := range u.formats {
		e, ok := u.endpoints[f]
		if !ok {
			continue
		}
		at, err := url.Parse(path) // checked before
		if err != nil {
			return errors.New("health.path: is not a path")
		}
		at.Scheme, at.Host = e.url.Scheme, e.url.Host
		u.health.aim(e, at)
		return nil
	}
	return nil
}

// aimModels makes the checks ask for the list of models, in the first format that
// has one.
func (u *Upstream) aimModels() error {
	for _, f := range u.formats {
		if e, ok := u.endpoints[f]; ok {
			if at, ok := e.modelList(f); ok {
				u.health.aim(e, at)
				return nil
			}
		}
	}
	return errors.New("health.models: the address of the list does not follow from format_paths; use path")
}

// aim makes the checks GET requests with the headers of an endpoint.
func (c *checks) aim(e *endpoint, at *url.URL) {
	c.url = at
	own := c.header
	c.header = e.whole.Clone()
	c.header.Del("Content-Type")
	c.header.Del("Idempotency-Key")
	c.header["Accept"] = anything
	for name, values := range own {
		c.header[name] = values
	}
}

// aimProbe makes the checks ask a model a short question.
func (u *Upstream) aimProbe(model string) error {
	for _, f := range u.formats {
		codec, ok := format.ChatOf(f)
		if !ok || u.endpoints[f] == nil || !Serves(f, format.OperationChat) {
			continue
		}
		var body format.Body
		if _, err := codec.EncodeRequest(&body, Question(f, "ping"), u.Target(model)); err != nil {
			return fmt.Errorf("health.probe: %w", err)
		}
		u.health.probe, u.health.model, u.health.question = f, model, body.Bytes()
		return nil
	}
	return errors.New("health.probe: the upstream speaks no chat format")
}
